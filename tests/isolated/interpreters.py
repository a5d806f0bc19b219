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
    # On CPython 3.13.0 such an interpreter crashes now and then when it ends, although
    # nothing of ours in it is compiled: why was not found. So none ends.
    os._exit(0)


main(sys.argv[1], sys.argv[2:])
