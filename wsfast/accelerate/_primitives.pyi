# What the C module has is what its pure twin has.
from wsfast.accelerate._pure_primitives import (
    ByteArrayMasker as ByteArrayMasker,
)
from wsfast.accelerate._pure_primitives import (
    Utf8Validator as Utf8Validator,
)
from wsfast.accelerate._pure_primitives import (
    XorMaskerSimple as XorMaskerSimple,
)
from wsfast.accelerate._pure_primitives import (
    frame_array as frame_array,
)
from wsfast.accelerate._pure_primitives import (
    unmask_part as unmask_part,
)
from wsfast.accelerate._pure_primitives import (
    unmask_text as unmask_text,
)
