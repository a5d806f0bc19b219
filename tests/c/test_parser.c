#include "check.h"
const test parser_tests[] = {{0}};
