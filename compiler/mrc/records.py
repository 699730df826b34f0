"""The data classes of the standard library, for a program that starts many times a day.

`dataclasses` writes up to eight methods of each class as text and compiles them while the class is imported: for all
classes of a render that took longer than rendering a model. Here a class is given functions that serve every class,
and its constructor is compiled when some objects were made. What is not used by mrc is not here (slots, for one).
"""

from typing import TYPE_CHECKING, ClassVar, get_origin

if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace
else:
    import operator

    _OFTEN = 8  # of fewer objects than this, compiling a constructor costs more than it saves

    class _Factory:
        """A default that is made anew for each object."""

        def __init__(self, make):
            self.make = make

    def field(*, default_factory):
        return _Factory(default_factory)

    def replace(one, /, **changes):
        """A copy with some fields changed."""
        kept = {name: getattr(one, name) for name in type(one).__match_args__ if name not in changes}
        return type(one)(**kept, **changes)

    def dataclass(cls=None, /, *, frozen=False, eq=True, order=False):
        """The class with a constructor, and what makes its objects comparable, printable and, frozen, constant."""
        if cls is None:
            return lambda each: dataclass(each, frozen=frozen, eq=eq, order=order)
        fields = {}  # by name: the annotation, and the default if there is one
        for owner in reversed(cls.__mro__[1:]):
            fields |= owner.__dict__.get("_mrc_fields", {})
        for name, annotation in cls.__annotations__.items():
            if get_origin(annotation) is not ClassVar and annotation is not ClassVar:
                fields[name] = (annotation, cls.__dict__[name]) if name in cls.__dict__ else (annotation,)
        names = tuple(fields)
        methods = {"__init__": _constructor(cls, fields), "__repr__": _repr, "__match_args__": names}
        if eq:
            methods |= {"__eq__": _comparison("__eq__", names), "__hash__": _hash(names) if frozen else None}
        if order:
            methods |= {name: _comparison(name, names) for name in ("__lt__", "__le__", "__gt__", "__ge__")}
        if frozen:
            methods |= {"__setattr__": _refuse, "__delattr__": _refuse}
        for name, method in methods.items():
            if name not in cls.__dict__ or cls.__dict__[name] is None:
                setattr(cls, name, method)
        cls._mrc_fields = fields
        cls.__dataclass_fields__ = _Described()
        for name, (_, *default) in fields.items():
            if default and isinstance(default[0], _Factory) and name in cls.__dict__:
                delattr(cls, name)
        return cls

    def _constructor(cls, fields):
        names, made = tuple(fields), 0
        defaults = {name: default[0] for name, (_, *default) in fields.items() if default}

        def first(self, /, *arguments, **named):
            nonlocal made
            made += 1
            given = dict(zip(names, arguments, strict=False))
            values = defaults | given | named
            if made < _OFTEN and len(values) == len(names) and len(arguments) + len(named) == len({**given, **named}):
                for name, value in values.items():
                    self.__dict__[name] = value.make() if type(value) is _Factory else value
                return
            init = cls.__init__ = _compiled(cls, fields)
            init(self, *arguments, **named)

        return first

    def _compiled(cls, fields):
        known = {"_absent": object()}
        parameters, values = [], []
        for number, (name, (_, *default)) in enumerate(fields.items()):
            value, given = name, ""
            if default and isinstance(default[0], _Factory):
                known[f"_make{number}"] = default[0].make
                value, given = f"_make{number}() if {name} is _absent else {name}", "=_absent"
            elif default:
                known[f"_default{number}"], given = default[0], f"=_default{number}"
            parameters.append(name + given)
            values.append(f"{name}={value}")
        # Past `__setattr__`, of which `object`'s own takes twice as long.
        text = f"def __init__({', '.join(['self', *parameters])}):\n self.__dict__.update({', '.join(values)})"
        exec(text, known)  # noqa: S102  names of fields are all that goes into it
        init = known["__init__"]
        init.__qualname__ = f"{cls.__qualname__}.__init__"
        return init

    def _values(names):
        """What the fields of an object hold, as one value that can be compared and hashed."""
        return operator.attrgetter(*names) if names else lambda one: ()

    def _comparison(name, names):
        values, compare = _values(names), getattr(operator, name)

        def compared(self, other):
            return compare(values(self), values(other)) if type(other) is type(self) else NotImplemented

        return compared

    def _hash(names):
        values = _values(names)
        return lambda self: hash(values(self))

    def _repr(self):
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in type(self).__match_args__)
        return f"{type(self).__qualname__}({shown})"

    def _refuse(self, name, *value):
        raise AttributeError(f"{type(self).__qualname__} is frozen: {name} cannot be changed")

    class _Described:
        """The fields as the standard library and pydantic know them, made when one of them asks."""

        def __get__(self, one, owner):
            import dataclasses

            def described(default):
                if isinstance(default, _Factory):
                    return dataclasses.field(default_factory=default.make)
                return dataclasses.field(default=default)

            listed = [(name, what, *map(described, default)) for name, (what, *default) in owner._mrc_fields.items()]
            found = dataclasses.make_dataclass(owner.__name__, listed).__dataclass_fields__
            owner.__dataclass_fields__ = found
            return found


__all__ = ["dataclass", "field", "replace"]
