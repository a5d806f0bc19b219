/* test_status.c -- wsf_status.h. */
#include "check.h"

#include "wsf_status.h"

#include <string.h>

static void status_table_is_complete(const wsf_kernels *k)
{
    (void)k;
    for (int i = 0; i < WSF_STATUS_COUNT; i++) {
        const wsf_status status = (wsf_status)i;
        const char *reason = wsf_status_reason_code(status);

        CHECK(strlen(reason) > 0 && strlen(wsf_status_text(status)) > 0, "status %d",
              i);
        CHECK(strspn(reason, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(reason),
              "%s is not an identifier", reason);
        for (int j = 0; j < i; j++)
            CHECK(strcmp(reason, wsf_status_reason_code((wsf_status)j)) != 0,
                  "%s stands for two statuses", reason);
        if (i > WSF_NEED_MORE)
            CHECK(wsf_status_close_code(status) >= 1002 &&
                      wsf_status_close_code(status) <= 1009,
                  "%s has close code %u", reason, wsf_status_close_code(status));
    }
    CHECK(WSF_OK == 0, "WSF_OK is %d", WSF_OK);
}

static void status_close_codes(const wsf_kernels *k) /* RFC 6455 §7.4.1 */
{
    (void)k;
    CHECK(wsf_status_close_code(WSF_OK) == 0, "ok");
    CHECK(wsf_status_close_code(WSF_NEED_MORE) == 0, "need more");
    CHECK(wsf_status_close_code(WSF_E_RSV) == 1002, "protocol error");
    CHECK(wsf_status_close_code(WSF_E_UTF8) == 1007, "invalid payload data");
    CHECK(wsf_status_close_code(WSF_E_FRAGMENTS) == 1008, "policy");
    CHECK(wsf_status_close_code(WSF_E_TOO_BIG) == 1009, "too big");
}

static void status_unknown(const wsf_kernels *k)
{
    (void)k;
    CHECK(wsf_status_close_code(WSF_STATUS_COUNT) == 0, "close code");
    CHECK(strcmp(wsf_status_reason_code(WSF_STATUS_COUNT), "unknown") == 0, "reason");
    CHECK(strcmp(wsf_status_text(WSF_STATUS_COUNT), "unknown status") == 0, "text");
}

const test status_tests[] = {
    ONCE(status_table_is_complete),
    ONCE(status_close_codes),
    ONCE(status_unknown),
    {0},
};
