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
