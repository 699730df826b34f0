"""pydantic's models, as far as the documents use them, without importing pydantic.

The documents are declared as pydantic models, and a type checker sees pydantic's own. Importing pydantic and letting it
make a hundred classes takes longer than all else that a render of one model does; so at run time its names stand for
what is here: classes that cost what classes cost, from which the schema for pydantic's compiled core is written when
the first document of a kind is validated. Values, errors and places are thereby those of pydantic, and a test holds
the schemas to what pydantic itself makes of the same files. Only what the documents use is here; anything else is
refused.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, model_validator
    from pydantic.alias_generators import to_camel
else:
    from functools import cache
    from types import UnionType
    from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

    from mrc.schema.core import SchemaSerializer, SchemaValidator

    ConfigDict = dict
    _MISSING = object()

    class AfterValidator(NamedTuple):
        """A function through which a valid value goes; it raises ValueError or PydanticCustomError."""

        function: Any

        def __get_pydantic_core_schema__(self, source, handler):
            return _after(self.function, handler(source))

    class _Strict(NamedTuple):
        """No text for a truth value, no number for either."""

        def __get_pydantic_core_schema__(self, source, handler):
            return {**handler(source), "strict": True}

    class _Length(NamedTuple):
        """How many entries a list or a mapping may have."""

        least: int | None
        most: int | None

        def __get_pydantic_core_schema__(self, source, handler):
            found = handler(source)
            bounds = {"min_length": self.least, "max_length": self.most}
            bounds = {name: bound for name, bound in bounds.items() if bound is not None}
            if found["type"] == "nullable":
                return {**found, "schema": found["schema"] | bounds}
            return found | bounds

    StrictBool = Annotated[bool, _Strict()]

    def to_camel(name):
        first, *others = name.split("_")
        return first + "".join(map(str.capitalize, others))

    def model_validator(*, mode):
        """Marks the method that judges a whole mapping whose fields are valid."""
        if mode != "after":
            raise TypeError(f"mode {mode}")

        def mark(function):
            function.judges_whole = True
            return function

        return mark

    class FieldInfo:
        """A field: its annotation, its key, its default, and how many entries it may have."""

        annotation = Any

        def __init__(
            self, default=_MISSING, *, default_factory=None, alias=None, min_length=None, max_length=None,
            validate_default=False,
        ):  # fmt: skip
            self.default, self.default_factory, self.alias = default, default_factory, alias
            self.metadata = [] if min_length is max_length is None else [_Length(min_length, max_length)]
            if validate_default:
                raise TypeError("defaults are not validated")

        def of(self, name, annotation):
            """This field, declared by that name."""
            found = FieldInfo(self.default, default_factory=self.default_factory, alias=self.alias or to_camel(name))
            found.annotation, found.metadata = annotation, self.metadata
            return found

        def is_required(self):
            return self.default is _MISSING and self.default_factory is None

        def get_default(self, *, call_default_factory):
            return self.default_factory() if self.default_factory is not None else self.default

        def schema(self, models):
            """What the core is told of the value."""
            found = models(Annotated[self.annotation, *self.metadata] if self.metadata else self.annotation)
            if self.default_factory is not None:
                factory = {"default_factory": self.default_factory, "default_factory_takes_data": False}
                return {"type": "default", "schema": found, **factory}
            return found if self.is_required() else {"type": "default", "schema": found, "default": self.default}

    def Field(*arguments, **named):  # noqa: N802  pydantic's name
        return FieldInfo(*arguments, **named)

    class _OfClass:
        """What is derived from a class once, when it is first asked for."""

        def __init__(self, derive):
            self.derive, self.name = derive, f"_{derive.__name__}"

        def __get__(self, one, owner):
            if self.name not in owner.__dict__:
                setattr(owner, self.name, self.derive(owner))
            return owner.__dict__[self.name]

    class BaseModel:
        """A frozen mapping of known keys."""

        __slots__ = ("__dict__", "__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")
        model_config = ConfigDict()

        @_OfClass
        def model_fields(cls):  # noqa: N805
            found = {}
            for owner in reversed(cls.__mro__):
                if issubclass(owner, BaseModel):
                    for name, annotation in owner.__annotations__.items():
                        default = owner.__dict__.get(name, _MISSING)
                        field = default if isinstance(default, FieldInfo) else FieldInfo(default)
                        found[name] = field.of(name, annotation)
            return found

        @_OfClass
        def validator(cls):  # noqa: N805
            return SchemaValidator(_model(cls, _schema))

        @_OfClass
        def serializer(cls):  # noqa: N805
            return SchemaSerializer(_model(cls, _schema))

        def __init__(self, /, **values):
            self.validator.validate_python(values, self_instance=self)

        @classmethod
        def model_validate(cls, data):
            return cls.validator.validate_python(data)

        @classmethod
        def model_validate_json(cls, data):
            return cls.validator.validate_json(data)

        def model_dump(self, **how):
            return self.serializer.to_python(self, **how)

        def model_copy(self, *, update=None):
            values = dict(self) | (update or {})
            return _restored(type(self), values)

        @classmethod
        def __get_pydantic_core_schema__(cls, source, handler):
            return _model(cls, _schema)

        @classmethod
        def model_json_schema(cls, schema_generator):
            return schema_generator(by_alias=True).generate(_model(cls, _referred), mode="validation")

        def __eq__(self, other):
            return type(other) is type(self) and dict(self) == dict(other)

        def __hash__(self):
            return hash((type(self), *(value for _, value in self)))

        def __iter__(self):
            return ((name, self.__dict__[name]) for name in type(self).model_fields)

        def __repr__(self):
            return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self)})"

        def __setattr__(self, name, value):
            raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be changed")

        __delattr__ = __setattr__

        def __reduce__(self):
            return _restored, (type(self), dict(self))

    def _restored(cls, values):
        """An object of valid values, with what the core keeps in it besides."""
        found = cls.__new__(cls)
        kept = {"fields_set__": set(values), "extra__": None, "private__": None}
        for name, value in {"__dict__": values, **{f"__pydantic_{name}": each for name, each in kept.items()}}.items():
            object.__setattr__(found, name, value)
        return found

    # --- the schema for pydantic's core; its shapes stand in pydantic_core/core_schema.py ---

    def _model(cls, models):
        """The schema of a model; `models` says that of an annotation."""
        fields = {}
        for name, field in cls.model_fields.items():
            keys = {"validation_alias": field.alias, "serialization_alias": field.alias}
            fields[name] = {"type": "model-field", "schema": field.schema(models), "metadata": {}, **keys}
        found = {
            "type": "model",
            "cls": cls,
            "schema": {"type": "model-fields", "fields": fields, "model_name": cls.__name__, "computed_fields": []},
            "config": {"title": cls.__name__, "extra_fields_behavior": cls.model_config["extra"]},
            "custom_init": False,
            "root_model": False,
        }
        for owner in reversed(cls.__mro__):
            for judge in vars(owner).values():
                if getattr(judge, "judges_whole", False):
                    found = _after(judge, found)
        return found

    def _referred(annotation):
        """The same as `_schema`, with a name for each model, under which a JSON Schema has it once."""
        return _schema(annotation, _referred)

    @cache  # most texts and some models stand in many places
    def _schema(annotation, models=None):
        models = models or _schema
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found = _model(annotation, models)
            if models is _referred:
                found["ref"] = f"{annotation.__module__}.{annotation.__qualname__}:{id(annotation)}"
            return found
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            found = models(arguments[0])
            for each in arguments[1:]:
                if hasattr(each, "__get_pydantic_core_schema__"):
                    found = each.__get_pydantic_core_schema__(arguments[0], lambda source, inner=found: inner)
                found = _described(found, each, "pydantic_js_annotation_functions")
            return found
        if annotation in _PLAIN:
            return dict(_PLAIN[annotation])
        if hasattr(annotation, "__get_pydantic_core_schema__"):
            found = annotation.__get_pydantic_core_schema__(annotation, models)
            return _described(found, annotation, "pydantic_js_functions")
        if origin is Literal:
            return {"type": "literal", "expected": list(arguments)}
        if origin in (Union, UnionType) and len(arguments) == 2 and arguments[1] is type(None):
            return {"type": "nullable", "schema": models(arguments[0])}
        if origin is list:
            return {"type": "list", "items_schema": models(arguments[0])}
        if origin is dict:
            return {"type": "dict", "keys_schema": models(arguments[0]), "values_schema": models(arguments[1])}
        raise TypeError(f"{annotation!r} is nothing that a document has")

    _PLAIN = {str: {"type": "str"}, bool: {"type": "bool"}, Any: {"type": "any"}}

    def _after(function, schema):
        return {"type": "function-after", "function": {"type": "no-info", "function": function}, "schema": schema}

    def _described(schema, speaker, key):
        """With what the speaker says of it in JSON Schema."""
        speak = getattr(speaker, "__get_pydantic_json_schema__", None)
        return schema if speak is None else {**schema, "metadata": {key: [speak]}}


__all__ = ["AfterValidator", "BaseModel", "ConfigDict", "Field", "StrictBool", "model_validator", "to_camel"]
