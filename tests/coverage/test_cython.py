"""Which lines of generated C are conditions of the source, and which are Cython's."""

from tests.coverage import cython

GENERATED = """\
static PyObject *f(int nargs) {
  switch (__pyx_nargs) {
  if (unlikely(__pyx_nargs != 2)) {
  /* "wsfast/_a.pyx":10
 * def f(a, b):
  */
  __pyx_t_1 = IsTrue(a); if (unlikely((__pyx_t_1 < 0))) __PYX_ERR(0, 10, L1)
  if (__pyx_t_1) {
  } else {
  if (!__pyx_t_2) {
  /* "wsfast/_a.pyx":12
  */
  if (unlikely(__pyx_v_self->_failed)) {
  if (unlikely(!__pyx_t_3)) __PYX_ERR(0, 12, __pyx_L1_error)
  if (unlikely(__pyx_t_3 == ((int)-1))) goto L1;
  if (!__pyx_t_2) break;
  switch (__pyx_v_kind) {
  switch (__pyx_generator->resume_label) {
}
  if (__pyx_t_1) {
/* --- Runtime support code --- */
  /* "wsfast/_a.pyx":14
  */
  if (__pyx_t_1) {
"""


def test_conditions_of_the_source():
    found = cython.conditions(GENERATED)
    lines = GENERATED.splitlines()
    assert [(*place, lines[at - 1].strip()) for at, place in found.items()] == [
        ("wsfast/_a.pyx", 10, 1, "if (__pyx_t_1) {"),
        ("wsfast/_a.pyx", 10, 2, "if (!__pyx_t_2) {"),
        ("wsfast/_a.pyx", 12, 1, "if (unlikely(__pyx_v_self->_failed)) {"),
        ("wsfast/_a.pyx", 12, 2, "if (!__pyx_t_2) break;"),
        ("wsfast/_a.pyx", 12, 3, "switch (__pyx_v_kind) {"),
    ]
