"""pprof messages written with the protobuf library, after the public definition ``profile.proto``."""

import functools
import gzip

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

INT, UINT, TEXT, MESSAGE = 3, 4, 9, 11
PROTO = {
    "ValueType": [("type", 1, INT, 0), ("unit", 2, INT, 0)],
    "Label": [("key", 1, INT, 0), ("str", 2, INT, 0), ("num", 3, INT, 0), ("num_unit", 4, INT, 0)],
    "Sample": [("location_id", 1, UINT, 1), ("value", 2, INT, 1), ("label", 3, "Label", 1)],
    "Line": [("function_id", 1, UINT, 0), ("line", 2, INT, 0)],
    "Location": [("id", 1, UINT, 0), ("mapping_id", 2, UINT, 0), ("address", 3, UINT, 0), ("line", 4, "Line", 1)],
    "Function": [("id", 1, UINT, 0), ("name", 2, INT, 0), ("system_name", 3, INT, 0), ("filename", 4, INT, 0)],
    "Profile": [
        ("sample_type", 1, "ValueType", 1),
        ("sample", 2, "Sample", 1),
        ("location", 4, "Location", 1),
        ("function", 5, "Function", 1),
        ("string_table", 6, 12, 1),  # bytes on the wire, as ids may be
        ("time_nanos", 9, INT, 0),
        ("default_sample_type", 14, INT, 0),
    ],
}


@functools.cache
def message_classes():
    """The classes of the messages, by name."""
    file = descriptor_pb2.FileDescriptorProto(name="profile.proto", package="perftools.profiles", syntax="proto3")
    for name, columns in PROTO.items():
        message = file.message_type.add(name=name)
        for field, number, kind, is_many in columns:
            added = message.field.add(name=field, number=number, label=3 if is_many else 1)
            if isinstance(kind, str):
                added.type, added.type_name = MESSAGE, f".perftools.profiles.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    classes = message_factory.GetMessageClassesForFiles(["profile.proto"], pool)
    return {name.rpartition(".")[2]: found for name, found in classes.items()}


def pprof(samples, types=(("cpu", "nanoseconds"),), *, packed=True):
    """A profile: samples are (stack from the entry point down, values, labels)."""
    profile = message_classes()["Profile"]()
    strings = {b"": 0}

    def text(value):
        return strings.setdefault(value if isinstance(value, bytes) else value.encode(), len(strings))

    functions = {}
    for name, unit in types:
        profile.sample_type.add(type=text(name), unit=text(unit))
    for stack, values, labels in samples:
        ids = [functions.setdefault(name, len(functions) + 1) for name in reversed(stack)]
        sample = profile.sample.add(location_id=ids, value=values)
        for key, value in labels.items():
            kind = {"num": value} if isinstance(value, int) else {"str": text(value)}
            sample.label.add(key=text(key), **kind)
    for name, number in functions.items():
        profile.function.add(id=number, name=text(name))
        profile.location.add(id=number).line.add(function_id=number)
    profile.string_table.extend(strings)
    data = profile.SerializeToString()
    return gzip.compress(data, mtime=0) if packed else data
