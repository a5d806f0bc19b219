/* wsf_status.c -- the status table, turned into three lookups. */
#include "wsf_status.h"

#include <stddef.h>

struct row {
    uint16_t close_code;
    const char *reason_code;
    const char *text;
};

static const struct row rows[] = {
#define WSF_STATUS_ROW(name, code, reason, text) {code, reason, text},
    WSF_STATUS_TABLE(WSF_STATUS_ROW)
#undef WSF_STATUS_ROW
};

static const struct row *row_of(wsf_status status)
{
    static const struct row unknown = {0, "unknown", "unknown status"};
    const size_t i = (size_t)status;

    return i < (size_t)WSF_STATUS_COUNT ? &rows[i] : &unknown;
}

uint16_t wsf_status_close_code(wsf_status status)
{
    return row_of(status)->close_code;
}

const char *wsf_status_reason_code(wsf_status status)
{
    return row_of(status)->reason_code;
}

const char *wsf_status_text(wsf_status status)
{
    return row_of(status)->text;
}
