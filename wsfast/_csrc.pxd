# The C core as Cython sees it; what each function promises stands in its header.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "wsf_status.h" nogil:
    ctypedef enum wsf_status:
        WSF_OK
        WSF_NEED_MORE
        WSF_E_UTF8
        WSF_E_TOO_BIG
        WSF_E_CONTROL_RATE

    uint16_t wsf_status_close_code(wsf_status status)
    const char *wsf_status_reason_code(wsf_status status)
    const char *wsf_status_text(wsf_status status)


cdef extern from "wsf_cpu.h" nogil:
    uint32_t wsf_cpu_detect()


cdef extern from "wsf_kernels.h" nogil:
    ctypedef struct wsf_kernels:
        const char *name
        uint32_t needs

    const wsf_kernels *wsf_kernels_best(uint32_t cpu)
    const wsf_kernels *wsf_kernels_named(const char *name, uint32_t cpu)
    const wsf_kernels *wsf_kernels_built(size_t i)


cdef extern from "wsf_mask.h" nogil:
    void wsf_mask(const wsf_kernels *k, uint8_t *dst, const uint8_t *src, size_t len,
                  const uint8_t *key, uint64_t offset)
    bint wsf_mask_ascii(const wsf_kernels *k, uint8_t *dst, const uint8_t *src,
                        size_t len, const uint8_t *key, uint64_t offset)


cdef extern from "wsf_utf8.h" nogil:
    ctypedef struct wsf_utf8:
        uint8_t tail[3]
        uint8_t count

    bint wsf_utf8_valid(const wsf_kernels *k, const uint8_t *data, size_t len)
    wsf_status wsf_utf8_feed(const wsf_kernels *k, wsf_utf8 *s, const uint8_t *data,
                             size_t len, size_t *bad)
    bint wsf_utf8_complete(const wsf_utf8 *s)
    unsigned int wsf_utf8_measure(const wsf_kernels *k, const uint8_t *data, size_t len,
                                  size_t *chars)
    void wsf_utf8_to_latin1(const wsf_kernels *k, uint8_t *dst, const uint8_t *data,
                            size_t len)
    void wsf_utf8_to_ucs2(const wsf_kernels *k, uint16_t *dst, const uint8_t *data,
                          size_t len)
    void wsf_utf8_to_ucs4(const wsf_kernels *k, uint32_t *dst, const uint8_t *data,
                          size_t len)


cdef extern from "wsf_header.h" nogil:
    enum:
        WSF_HEADER_MAX
        WSF_CONTROL_MAX

    ctypedef struct wsf_header:
        uint64_t length
        uint8_t *key
        uint8_t first
        bint masked
        uint8_t size

    size_t wsf_header_encode(uint8_t *out, uint8_t first, uint64_t length,
                             const uint8_t *key)


cdef extern from "wsf_close.h" nogil:
    wsf_status wsf_close_check(const wsf_kernels *k, const uint8_t *payload, size_t len,
                               uint16_t *code)


cdef extern from "wsf_parser.h" nogil:
    enum:
        WSF_OP_CONT
        WSF_OP_TEXT
        WSF_OP_BINARY
        WSF_OP_CLOSE
        WSF_OP_PING
        WSF_OP_PONG
        WSF_FIN
        WSF_RSV1
    uint64_t WSF_NO_LIMIT

    ctypedef struct wsf_parser:
        uint64_t max_size
        uint64_t max_wire_size
        uint64_t max_fragments
        bint expect_masked
        bint allow_rsv1
        bint compressed
        uint8_t opcode
        uint64_t message_size
        uint64_t fragments
        uint64_t remaining
        wsf_header frame
        bint in_frame
        uint8_t head_len
        wsf_status error

    ctypedef struct wsf_piece:
        const uint8_t *data
        size_t len
        uint64_t offset
        uint8_t opcode
        bint frame_end

    void wsf_parser_init(wsf_parser *s, bint expect_masked)
    wsf_status wsf_parser_next(wsf_parser *s, const uint8_t **cursor,
                               const uint8_t *end, wsf_piece *piece)
    bint wsf_parser_short(wsf_parser *s, const uint8_t **cursor, const uint8_t *end,
                          wsf_piece *piece)
    void wsf_parser_skip(wsf_parser *s, size_t n)
    bint wsf_parser_fin(const wsf_parser *s)


cdef extern from "wsf_events.h" nogil:
    ctypedef enum wsf_field:
        WSF_FIELD_NONE
        WSF_FIELD_COMMENT
        WSF_FIELD_DATA
        WSF_FIELD_EVENT
        WSF_FIELD_ID
        WSF_FIELD_RETRY

    ctypedef struct wsf_lines:
        pass

    ctypedef struct wsf_line:
        const uint8_t *data
        size_t len
        bint end

    bint wsf_lines_next(wsf_lines *s, const uint8_t **cursor, const uint8_t *end,
                        wsf_line *piece)
    wsf_field wsf_event_field(const uint8_t *line, size_t len, size_t *value)
    bint wsf_event_retry(const uint8_t *value, size_t len, uint32_t *ms)
    bint wsf_event_is_line(const uint8_t *data, size_t len)
    size_t wsf_event_data_size(const uint8_t *data, size_t len)
    uint8_t *wsf_event_data_encode(uint8_t *dst, const uint8_t *data, size_t len)


cdef extern from "wsf_sockjs.h" nogil:
    ctypedef enum wsf_sockjs_item:
        WSF_SOCKJS_STRING
        WSF_SOCKJS_END
        WSF_SOCKJS_BROKEN
        WSF_SOCKJS_OTHER

    ctypedef struct wsf_sockjs_reader:
        const uint8_t *pos
        const uint8_t *end
        bint single
        uint8_t state

    ctypedef struct wsf_sockjs_string:
        const uint8_t *data
        size_t len
        bint escaped

    size_t wsf_sockjs_quoted_size(const uint8_t *text, size_t len)
    uint8_t *wsf_sockjs_quote(uint8_t *dst, const uint8_t *text, size_t len)
    wsf_sockjs_item wsf_sockjs_next(wsf_sockjs_reader *r, wsf_sockjs_string *s)
    uint8_t *wsf_sockjs_unescape(uint8_t *dst, const uint8_t *src, size_t len,
                                 size_t *surrogates)


cdef extern from "wsf_poller.h" nogil:
    enum:
        WSF_READABLE
        WSF_WRITABLE
        WSF_HANGUP

    ctypedef struct wsf_ready:
        void *owner
        uint32_t events

    int wsf_poller_open()
    int wsf_poller_add(int poller, int fd, void *owner, int level)
    int wsf_poller_remove(int poller, int fd)
    int wsf_poller_take(int poller, wsf_ready *ready, int most)
    void wsf_poller_close(int poller)
