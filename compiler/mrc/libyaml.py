"""PyYAML's binding of libyaml, without the reader and the resolver in Python beside it.

Those compile expressions over all of Unicode when they are imported, for loaders that mrc does not use. The binding
needs the classes of its events and errors alone. Whoever asks the package for anything else gets the whole of it.
"""

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yaml import events
    from yaml._yaml import CParser
    from yaml.error import MarkedYAMLError
    from yaml.reader import ReaderError
else:
    # What the binding takes from the modules that are left out: the errors that it raises.
    _ERRORS = {
        "scanner": "ScannerError", "parser": "ParserError", "composer": "ComposerError", "emitter": "EmitterError",
        "constructor": "ConstructorError", "serializer": "SerializerError", "representer": "RepresenterError",
    }  # fmt: skip

    class _Package(ModuleType):
        """The package before it is executed; it is as soon as something is missed."""

        def __init__(self, spec: ModuleSpec) -> None:
            super().__init__(spec.name)
            self.__spec__, self.__file__, self.__path__ = spec, spec.origin, list(spec.submodule_search_locations)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__") or self.__class__ is ModuleType:
                raise AttributeError(name)
            self.__class__ = ModuleType
            self.__spec__.loader.exec_module(self)
            return getattr(self, name)

    def _bound() -> ModuleType:
        spec = importlib.util.find_spec("yaml") if "yaml" not in sys.modules else None
        if spec is None:
            return importlib.import_module("yaml._yaml")
        package = sys.modules["yaml"] = _Package(spec)
        error = importlib.import_module("yaml.error")
        for module in ("tokens", "events", "nodes"):
            importlib.import_module(f"yaml.{module}")

        class ReaderError(error.YAMLError):
            def __init__(self, name: str, position: int, character: int, encoding: str, reason: str) -> None:
                super().__init__(reason)
                self.name, self.position, self.character, self.encoding = name, position, character, encoding
                self.reason = reason

        package.reader = SimpleNamespace(ReaderError=ReaderError)
        for module, name in _ERRORS.items():
            setattr(package, module, SimpleNamespace(**{name: type(name, (error.MarkedYAMLError,), {})}))
        return importlib.import_module("yaml._yaml")

    _binding = _bound()
    CParser = _binding.CParser
    events = sys.modules["yaml.events"]
    MarkedYAMLError = sys.modules["yaml.error"].MarkedYAMLError
    ReaderError = sys.modules["yaml"].reader.ReaderError

__all__ = ["CParser", "MarkedYAMLError", "ReaderError", "events"]
