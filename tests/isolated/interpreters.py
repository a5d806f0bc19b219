"""
A program: the file named by its argument in several interpreters, a thread for each.

In each the folders of the second argument come first on the search path.
"""

import os
import sys
import threading

import _interpreters

INTERPRETERS = 3


def main(path, folders):
    code = f"""
import sys
sys.path[:0] = {folders!r}
__name__ = "isolated"
exec(compile(open({path!r}).read(), {path!r}, "exec"), globals())
"""
    created = [_interpreters.create("isolated") for _ in range(INTERPRETERS)]
    outcomes = [None] * INTERPRETERS

    def work(i):
        failed = _interpreters.exec(created[i], code)
        outcomes[i] = failed.formatted if failed else "done"

    threads = [threading.Thread(target=work, args=(i,)) for i in range(INTERPRETERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(*outcomes, sep="\n", flush=True)
    # CPython 3.13.0 crashes now and then when such an interpreter ends, although all
    # that is compiled in it is the standard library's; so none ends.
    os._exit(0)


main(sys.argv[1], sys.argv[2:])
