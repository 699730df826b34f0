"""pydantic's core, the compiled part that validates, without the packages around it.

`pydantic_core` describes itself in a hundred typed dictionaries when it is imported, for type checkers and for
whoever writes schemas by hand; that takes four times as long as the compiled part itself.
"""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_core import PydanticCustomError, SchemaSerializer, SchemaValidator, ValidationError
else:
    _PACKAGE = "pydantic_core"

    def _compiled() -> ModuleType:
        found = importlib.util.find_spec(_PACKAGE) if _PACKAGE not in sys.modules else None
        if found is None or not found.submodule_search_locations:
            return importlib.import_module(_PACKAGE)
        package = ModuleType(_PACKAGE)  # empty, and only for as long as its part is imported
        package.__path__ = list(found.submodule_search_locations)
        sys.modules[_PACKAGE] = package
        try:
            return importlib.import_module(f"{_PACKAGE}._{_PACKAGE}")
        finally:
            del sys.modules[_PACKAGE]

    _core = _compiled()
    PydanticCustomError = _core.PydanticCustomError
    SchemaSerializer = _core.SchemaSerializer
    SchemaValidator = _core.SchemaValidator
    ValidationError = _core.ValidationError

__all__ = ["PydanticCustomError", "SchemaSerializer", "SchemaValidator", "ValidationError"]
