// The extension module tracekit.loading.native._scan: Python objects in and out, nothing else.
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <algorithm>
#include <memory>
#include <new>
#include <random>

#include "attributes.h"
#include "depth.h"
#include "docker.h"
#include "finish.h"
#include "hashes.h"
#include "items.h"
#include "jaeger.h"
#include "otlp.h"
#include "prepper.h"
#include "protobuf.h"
#include "sequences.h"
#include "xray.h"
#include "zipkin.h"

std::uint64_t tracekit::hash_seed = 0;

namespace {

using namespace tracekit;

constexpr char CAPSULE[] = "tracekit.loading.native.attributes";

// An object that is released at the end of its scope.
class Owned {
 public:
  explicit Owned(PyObject* object) : object_(object) {}
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() { Py_XDECREF(object_); }

  PyObject* get() const { return object_; }
  PyObject* release() {
    PyObject* const object = object_;
    object_ = nullptr;
    return object;
  }

 private:
  PyObject* object_;
};

// The bytes of an object, for as long as this lives.
class View {
 public:
  explicit View(PyObject* object, int flags = PyBUF_SIMPLE) { ok = PyObject_GetBuffer(object, &view_, flags) == 0; }
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  ~View() {
    if (ok) PyBuffer_Release(&view_);
  }

  bool ok;
  const Byte* data() const { return static_cast<const Byte*>(view_.buf); }
  std::size_t size() const { return static_cast<std::size_t>(view_.len); }

 private:
  Py_buffer view_;
};

PyObject* bytes(const void* data, std::size_t size) {
  return PyBytes_FromStringAndSize(static_cast<const char*>(data), static_cast<Py_ssize_t>(size));
}

// Adds an object to a dictionary; false on failure, also if there is no object.
bool put(PyObject* dict, const char* name, PyObject* object) {
  const Owned owned(object);
  return object && PyDict_SetItemString(dict, name, object) == 0;
}

template <class T> bool put(PyObject* dict, const char* name, const std::vector<T>& values) {
  return put(dict, name, bytes(values.data(), values.size() * sizeof(T)));
}

// A field of rows that becomes a column.
template <class Row, class T> struct Field {
  const char* name;
  T Row::* field;
};

template <class Row, class T> Field<Row, T> field(const char* name, T Row::* of) { return {name, of}; }

template <class Row, class T> void copy(const Row* from, const Row* to, T Row::* field, char*& out) {
  for (; from < to; from++, out += sizeof(T)) std::memcpy(out, &(from->*field), sizeof(T));
}

// Fields of all rows as the bytes of columns, some rows at a time: they are wide, and many.  Nobody else has the columns
// yet, so other threads may use the interpreter meanwhile.
template <class Row, class... T>
bool put(PyObject* dict, const std::vector<Row>& rows, const Field<Row, T>&... of) {
  constexpr std::size_t AT_ONCE = 64;
  char* out[sizeof...(T)] = {};
  std::size_t made = 0;
  const auto make = [&](const char* name, std::size_t size) {
    PyObject* const column = bytes(nullptr, rows.size() * size);
    if (column) out[made++] = PyBytes_AsString(column);
    return put(dict, name, column);
  };
  if (!(make(of.name, sizeof(T)) && ...)) return false;
  if (rows.empty()) return true;
  Py_BEGIN_ALLOW_THREADS
  for (std::size_t row = 0; row < rows.size(); row += AT_ONCE) {
    const Row *const from = rows.data() + row, *const to = from + std::min(AT_ONCE, rows.size() - row);
    std::size_t i = 0;
    (copy(from, to, of.field, out[i++]), ...);
  }
  Py_END_ALLOW_THREADS
  return true;
}

template <class Row, class T> bool put(PyObject* dict, const char* name, const std::vector<Row>& rows, T Row::* of) {
  return put(dict, rows, field(name, of));
}

PyObject* list(const std::vector<Text>& texts) {
  Owned made(PyList_New(static_cast<Py_ssize_t>(texts.size())));
  if (!made.get()) return nullptr;
  for (std::size_t i = 0; i < texts.size(); i++) {
    PyObject* const one = bytes(texts[i].at, texts[i].length);
    if (!one || PyList_SetItem(made.get(), static_cast<Py_ssize_t>(i), one)) return nullptr;
  }
  return made.release();
}

PyObject* counted(const Dialects& dialects) {
  return Py_BuildValue("{s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L}", "snake_case", static_cast<long long>(dialects.snake_case), "enum_names",
                       static_cast<long long>(dialects.enum_names), "base64_ids",
                       static_cast<long long>(dialects.base64_ids), "base64_of_hex_ids",
                       static_cast<long long>(dialects.base64_of_hex_ids), "instrumentationLibrarySpans",
                       static_cast<long long>(dialects.legacy), "resource_spans",
                       static_cast<long long>(dialects.resource_spans), "batches",
                       static_cast<long long>(dialects.batches), "wrapped_in_trace",
                       static_cast<long long>(dialects.trace), "wrapped_in_result",
                       static_cast<long long>(dialects.result), "flat_span",
                       static_cast<long long>(dialects.flat_spans), "attribute_map",
                       static_cast<long long>(dialects.attribute_maps), "data_prepper",
                       static_cast<long long>(dialects.span_documents), "opensearch_hits",
                       static_cast<long long>(dialects.searches), "unknown_fields_skipped",
                       static_cast<long long>(dialects.unknown_fields));
}

bool put_spans(PyObject* to, const Rows& scan) {
  return put(to, scan.spans, field("trace_hi", &Span::trace_hi), field("trace_lo", &Span::trace_lo),
             field("span_id", &Span::span_id), field("parent_id", &Span::parent_id), field("start_ns", &Span::start_ns),
             field("end_ns", &Span::end_ns), field("name", &Span::name), field("trace_state", &Span::trace_state),
             field("status_message", &Span::status_message), field("flags", &Span::flags),
             field("dropped_attributes", &Span::dropped_attributes), field("dropped_events", &Span::dropped_events),
             field("dropped_links", &Span::dropped_links), field("kind", &Span::kind),
             field("status_code", &Span::status_code), field("rounded", &Span::rounded),
             field("attribute_count", &Span::attributes)) &&
         put(to, "attributes", scan.span_attributes);
}

bool put_events(PyObject* to, const Rows& scan) {
  const auto& rows = scan.events;
  return put(to, "event_span_row", rows, &Event::span_row) && put(to, "event_time_ns", rows, &Event::time_ns) &&
         put(to, "event_name", rows, &Event::name) && put(to, "event_dropped", rows, &Event::dropped_attributes) &&
         put(to, "event_rounded", rows, &Event::rounded) &&
         put(to, "event_attribute_count", rows, &Event::attributes) &&
         put(to, "event_attributes", scan.event_attributes);
}

bool put_links(PyObject* to, const Rows& scan) {
  const auto& rows = scan.links;
  return put(to, "link_span_row", rows, &Link::span_row) && put(to, "link_trace_hi", rows, &Link::trace_hi) &&
         put(to, "link_trace_lo", rows, &Link::trace_lo) && put(to, "link_span_id", rows, &Link::span_id) &&
         put(to, "link_trace_state", rows, &Link::trace_state) && put(to, "link_flags", rows, &Link::flags) &&
         put(to, "link_dropped", rows, &Link::dropped_attributes) &&
         put(to, "link_relation", rows, &Link::relation) &&
         put(to, "link_attribute_count", rows, &Link::attributes) &&
         put(to, "link_attributes", scan.link_attributes);
}

bool put_owners(PyObject* to, const Scan& scan) {
  const auto& rows = scan.groups;
  return put(to, "group_resource", rows, &Group::resource) && put(to, "group_scope", rows, &Group::scope) &&
         put(to, "group_line", rows, &Group::line) && put(to, "group_spans", rows, &Group::spans) &&
         put(to, "group_is_first", rows, &Group::is_first);
}

bool put_lines(PyObject* to, const Rows& scan) {
  return put(to, "line_number", scan.lines, &Line::number) && put(to, "line_start", scan.lines, &Line::start) &&
         put(to, "line_stop", scan.lines, &Line::stop) && put(to, "line_spans", scan.lines, &Line::spans) && put(to, "other_number", scan.others, &Line::number) &&
         put(to, "other_start", scan.others, &Line::start) && put(to, "other_stop", scan.others, &Line::stop) &&
         put(to, "names", list(scan.names.found)) && put(to, "texts", list(scan.texts.found));
}

bool put_distinct(PyObject* to, const Scan& scan) {
  return put(to, "owner_texts", list(scan.owner_texts.found)) && put(to, "resources", list(scan.resources.found)) &&
         put(to, "scopes", list(scan.scopes.found)) &&
         put(to, "dialects", counted(scan.dialects));
}

// A distinct attribute: its place in the input, and its hash.
struct Place {
  std::int64_t start;
  std::uint32_t length;
  std::int32_t shape;
  std::uint64_t hash;
};

// A shape of attributes, as it is first written in the input.
struct ShapePlace {
  std::int64_t start;
  std::uint32_t front, value, back, none;
};

bool put_places(PyObject* to, const Rows& scan, const Byte* data) {
  const auto& found = scan.attributes.found;
  std::vector<Place> places;
  places.reserve(found.size());
  for (std::size_t i = 0; i < found.size(); i++)
    places.push_back({found[i].at - data, found[i].length, found[i].shape, scan.attributes.hashes[i]});
  return put(to, "distinct_attributes", places);
}

bool put_shapes(PyObject* to, const Scan& scan, const Byte* data) {
  std::vector<ShapePlace> places;
  for (const Shape& shape : scan.shapes.found)
    places.push_back({shape.at - data, shape.front, shape.value, shape.back, 0});
  return put(to, "shapes", places);
}

// What went wrong in a part that runs without the interpreter.
enum class Failure { NONE, MEMORY, OTHER };

PyObject* raised(Failure failure) {
  if (failure == Failure::MEMORY) return PyErr_NoMemory();
  PyErr_SetString(PyExc_RuntimeError, "expected to scan the data, found an unknown error in the compiled scanner");
  return nullptr;
}

template <class Work> Failure guarded(Work work) {
  try {
    work();
    return Failure::NONE;
  } catch (const std::bad_alloc&) {
    return Failure::MEMORY;
  } catch (...) {
    return Failure::OTHER;
  }
}

PyObject* columns(const Scan& scan, const Byte* data) {
  Owned made(PyDict_New());
  PyObject* const to = made.get();
  if (!to || !put_spans(to, scan) || !put_events(to, scan) || !put_links(to, scan) || !put_lines(to, scan) ||
      !put_owners(to, scan) || !put_distinct(to, scan) || !put_places(to, scan, data) || !put_shapes(to, scan, data))
    return nullptr;
  return made.release();
}

template <class Format> PyObject* scan(PyObject*, PyObject* args) {
  PyObject *input, *left_out;
  if (!PyArg_ParseTuple(args, "OO", &input, &left_out)) return nullptr;
  const View data(input);
  if (!data.ok) return nullptr;
  const View excluded(left_out);
  if (!excluded.ok) return nullptr;
  std::vector<std::int64_t> lines(excluded.size() / sizeof(std::int64_t));
  if (!lines.empty()) std::memcpy(lines.data(), excluded.data(), lines.size() * sizeof(std::int64_t));
  Format done(data.data(), data.size(), std::move(lines));
  Failure failure;
  Py_BEGIN_ALLOW_THREADS
  failure = guarded([&] { done.run(); });
  Py_END_ALLOW_THREADS
  return failure == Failure::NONE ? columns(done, data.data()) : raised(failure);
}

template <class Format> PyObject* scan_items(PyObject*, PyObject* args) {
  PyObject* input;
  int items;
  long long most;
  if (!PyArg_ParseTuple(args, "OiL", &input, &items, &most)) return nullptr;
  const View data(input);
  if (!data.ok) return nullptr;
  Format done(data.data(), data.size(), {});
  Failure failure;
  Py_BEGIN_ALLOW_THREADS
  failure = guarded([&] { done.run_items(static_cast<Items>(items), most); });
  Py_END_ALLOW_THREADS
  if (failure != Failure::NONE) return raised(failure);
  Owned made(columns(done, data.data()));
  PyObject* const to = made.get();
  if (!to || !put(to, "span_place", done.spans, &Span::place) || !put(to, "is_cut", PyBool_FromLong(done.is_cut)))
    return nullptr;
  return made.release();
}

// Copies what Python has as bytes.
template <class T> bool taken(PyObject* given, std::vector<T>& to) {
  const View view(given);
  if (!view.ok) return false;
  to.resize(view.size() / sizeof(T));
  if (!to.empty()) std::memcpy(to.data(), view.data(), to.size() * sizeof(T));
  return true;
}

PyObject* depth(PyObject*, PyObject* args) {
  PyObject* input;
  long long before;
  int in_string, escaped;
  if (!PyArg_ParseTuple(args, "OLpp", &input, &before, &in_string, &escaped)) return nullptr;
  const View data(input);
  if (!data.ok) return nullptr;
  Depth meter;
  meter.depth = before;
  meter.in_string = in_string != 0;
  meter.escaped = escaped != 0;
  meter.feed(data.data(), data.data() + data.size());
  return Py_BuildValue("LLLNN", static_cast<long long>(meter.lowest), static_cast<long long>(meter.highest),
                       static_cast<long long>(meter.depth), PyBool_FromLong(meter.in_string),
                       PyBool_FromLong(meter.escaped));
}

PyObject* docker(PyObject*, PyObject* args) {
  PyObject* input;
  if (!PyArg_ParseTuple(args, "O", &input)) return nullptr;
  const View data(input);
  if (!data.ok) return nullptr;
  std::vector<Byte> log;
  if (docker_log(data.data(), data.size(), log)) return bytes(log.data(), log.size());
  Py_INCREF(Py_None);
  return Py_None;
}

PyObject* items(PyObject*, PyObject* args) {
  PyObject* input;
  if (!PyArg_ParseTuple(args, "O", &input)) return nullptr;
  const View data(input);
  if (!data.ok) return nullptr;
  const std::vector<std::int64_t> found = tracekit::items(data.data(), data.size());
  return bytes(found.data(), found.size() * sizeof(std::int64_t));
}

PyObject* lists(const std::vector<Interner>& tables) {
  Owned made(PyList_New(static_cast<Py_ssize_t>(tables.size())));
  for (std::size_t i = 0; made.get() && i < tables.size(); i++) {
    PyObject* const one = list(tables[i].found);
    if (!one || PyList_SetItem(made.get(), static_cast<Py_ssize_t>(i), one)) return nullptr;
  }
  return made.release();
}

PyObject* counted(const XrayDialects& d) {
  return Py_BuildValue("{s:L,s:L,s:L,s:L}", "segment_documents", static_cast<long long>(d.segment_documents),
                       "document_objects", static_cast<long long>(d.document_objects), "put_trace_segments",
                       static_cast<long long>(d.put_trace_segments), "daemon", static_cast<long long>(d.daemon));
}

bool put_xray(PyObject* to, const XrayScan& scan) {
  const auto& rows = scan.parts;
  return put(to, "trace_hi", rows, &XrayPart::trace_hi) && put(to, "trace_lo", rows, &XrayPart::trace_lo) &&
         put(to, "span_id", rows, &XrayPart::span_id) && put(to, "parent_id", rows, &XrayPart::parent_id) &&
         put(to, "start_ns", rows, &XrayPart::start_ns) && put(to, "end_ns", rows, &XrayPart::end_ns) &&
         put(to, "line", rows, &XrayPart::line) && put(to, "name", rows, &XrayPart::name) &&
         put(to, "owner", rows, &XrayPart::owner) && put(to, "bits", rows, &XrayPart::bits) &&
         put(to, "piece_row", scan.pieces, &XrayPiece::row) && put(to, "piece_slot", scan.pieces, &XrayPiece::slot) &&
         put(to, "piece_code", scan.pieces, &XrayPiece::code) && put(to, "id_hi", scan.traces, &XrayTrace::hi) &&
         put(to, "id_lo", scan.traces, &XrayTrace::lo) && put(to, "duration", scan.traces, &XrayTrace::duration) &&
         put(to, "is_limited", scan.traces, &XrayTrace::is_limited) &&
         put(to, "trace_count", scan.lines, &XrayLine::traces) &&
         put(to, "unprocessed", scan.lines, &XrayLine::unprocessed) &&
         put(to, "token", scan.lines, &XrayLine::token) && put(to, "line_start", scan.lines, &XrayLine::start) &&
         put(to, "line_stop", scan.lines, &XrayLine::stop) && put(to, "others", scan.others) &&
         put(to, "text_count", scan.lines, &XrayLine::texts) &&
         put(to, "is_retrieved", scan.lines, &XrayLine::is_retrieved) &&
         put(to, "written", bytes(scan.written(), scan.written_size())) &&
         put(to, "names", list(scan.names.found)) && put(to, "texts", list(scan.texts.found)) &&
         put(to, "owners", list(scan.owners.found)) && put(to, "callees", list(scan.callees.found)) &&
         put(to, "blocks", lists(scan.blocks)) && put(to, "dialects", counted(scan.dialects));
}

template <void (XrayScan::*run)(), bool HAS_OTEL = false> PyObject* scan_xray(PyObject*, PyObject* args) {
  PyObject* input;
  if (!PyArg_ParseTuple(args, "O", &input)) return nullptr;
  const View data(input);
  if (!data.ok) return nullptr;
  XrayScan done(data.data(), data.size(), HAS_OTEL);
  Failure failure;
  Py_BEGIN_ALLOW_THREADS
  failure = guarded([&] { (done.*run)(); });
  Py_END_ALLOW_THREADS
  if (failure != Failure::NONE) return raised(failure);
  Owned made(PyDict_New());
  return made.get() && put_xray(made.get(), done) ? made.release() : nullptr;
}

bool put_jaeger(PyObject* to, const JaegerScan& scan) {
  const auto& rows = scan.more;
  return put(to, "resource", rows, &JaegerSpan::resource) && put(to, "scope", rows, &JaegerSpan::scope) &&
         put(to, "quality", rows, &JaegerSpan::quality) && put(to, "padded", scan.records, &JaegerRecord::padded) &&
         put(to, "answer", scan.records, &JaegerRecord::answer) &&
         put(to, "process_count", scan.process_counts) && put(to, "record_process", scan.record_processes) &&
         put(to, "processes", list(scan.processes.found)) && put(to, "scopes", list(scan.scopes.found));
}

// Where records end inside some data, as they come from Python; false, with an error, for others.
bool ends_in(PyObject* given, std::size_t size, std::vector<std::int64_t>& ends) {
  const View places(given);
  if (!places.ok) return false;
  ends.resize(places.size() / sizeof(std::int64_t));
  if (!ends.empty()) std::memcpy(ends.data(), places.data(), ends.size() * sizeof(std::int64_t));
  std::int64_t before = 0;
  for (const std::int64_t end : ends) {
    if (end < before || end > static_cast<std::int64_t>(size)) {
      PyErr_SetString(PyExc_ValueError, "expected ascending ends inside the data, found others");
      return false;
    }
    before = end;
  }
  return true;
}

PyObject* columns(const JaegerScan& scan, const Byte* data) {
  Owned made(PyDict_New());
  PyObject* const to = made.get();
  if (!to || !put_spans(to, scan) || !put_events(to, scan) || !put_links(to, scan) || !put_lines(to, scan) ||
      !put_places(to, scan, data) || !put_jaeger(to, scan) || !put(to, "places", scan.places))
    return nullptr;
  return made.release();
}

PyObject* columns(const ZipkinScan& scan, const Byte* data) {
  const auto& rows = scan.more;
  Owned made(PyDict_New());
  PyObject* const to = made.get();
  if (!to || !put_spans(to, scan) || !put_events(to, scan) || !put_links(to, scan) || !put_lines(to, scan) ||
      !put_places(to, scan, data) || !put(to, "local", rows, &ZipkinSpan::local) ||
      !put(to, "remote", rows, &ZipkinSpan::remote) || !put(to, "scope", rows, &ZipkinSpan::scope) ||
      !put(to, "quality", rows, &ZipkinSpan::quality) || !put(to, "padded", scan.records, &ZipkinRecord::padded) || !put(to, "v1", scan.records, &ZipkinRecord::v1) ||
      !put(to, "places", scan.places) || !put(to, "endpoints", list(scan.endpoints.found)) ||
      !put(to, "scopes", list(scan.scopes.found)))
    return nullptr;
  return made.release();
}

// Scans records of Jaeger or Zipkin that end at given places.
template <class Scan> PyObject* scan_records(PyObject*, PyObject* args) {
  PyObject *input, *places;
  if (!PyArg_ParseTuple(args, "OO", &input, &places)) return nullptr;
  const View data(input);
  std::vector<std::int64_t> ends;
  if (!data.ok || !ends_in(places, data.size(), ends)) return nullptr;
  Scan done(data.data(), data.size());
  Failure failure;
  Py_BEGIN_ALLOW_THREADS
  failure = guarded([&] { done.run(ends); });
  Py_END_ALLOW_THREADS
  return failure == Failure::NONE ? columns(done, data.data()) : raised(failure);
}

// Likewise lines, or items.
template <class Scan, void (Scan::*run)()> PyObject* scan_all(PyObject*, PyObject* args) {
  PyObject* input;
  if (!PyArg_ParseTuple(args, "O", &input)) return nullptr;
  const View data(input);
  if (!data.ok) return nullptr;
  Scan done(data.data(), data.size());
  Failure failure;
  Py_BEGIN_ALLOW_THREADS
  failure = guarded([&] { (done.*run)(); });
  Py_END_ALLOW_THREADS
  return failure == Failure::NONE ? columns(done, data.data()) : raised(failure);
}

PyObject* messages(PyObject*, PyObject* args) {
  PyObject* input;
  Py_ssize_t start;
  if (!PyArg_ParseTuple(args, "On", &input, &start)) return nullptr;
  const View data(input);
  if (!data.ok) return nullptr;
  if (start < 0 || static_cast<std::size_t>(start) > data.size()) {
    PyErr_SetString(PyExc_ValueError, "expected a start inside the data, found one outside");
    return nullptr;
  }
  const Run run = run_of_groups(data.data() + start, data.data() + data.size());
  return Py_BuildValue("nL", static_cast<Py_ssize_t>(run.stop - data.data()), static_cast<long long>(run.count));
}

void destroy(PyObject* capsule) { delete static_cast<Attributes*>(PyCapsule_GetPointer(capsule, CAPSULE)); }

PyObject* attributes(PyObject*, PyObject* args) {
  static const Member names[] = {member("otlp"), member("protobuf"), member("jaeger"),
                                 member("zipkin")};
  const char* name = nullptr;
  if (!PyArg_ParseTuple(args, "s", &name)) return nullptr;
  for (int number = 0; number < 4; number++) {
    if (std::strcmp(name, names[number].name)) continue;
    auto made = std::make_unique<Attributes>(static_cast<Notation>(number));
    PyObject* const capsule = PyCapsule_New(made.get(), CAPSULE, destroy);
    if (capsule) made.release();
    return capsule;
  }
  PyErr_SetString(PyExc_ValueError, "expected the notation otlp, protobuf, jaeger or zipkin, found another");
  return nullptr;
}

// The attributes that Python asks for and their shapes; false for places outside of the data.
bool placed(const View& data, const std::vector<Place>& places, std::vector<Attribute>& asked,
            const std::vector<ShapePlace>& around, std::vector<Shape>& shapes) {
  const auto size = static_cast<std::int64_t>(data.size());
  const auto is_inside = [&](std::int64_t start, std::int64_t length) {
    return start >= 0 && length <= 0x7FFFFFFF && start <= size - length;
  };
  for (const ShapePlace& one : around) {
    if (!is_inside(one.start, std::int64_t{one.front} + one.value + one.back)) return false;
    shapes.push_back({data.data() + one.start, one.front, one.value, one.back});
  }
  for (const Place& one : places) {
    std::int64_t front = 0, back = 0;
    if (one.shape != Attribute::WHOLE) {
      if (one.shape < 0 || static_cast<std::size_t>(one.shape) >= shapes.size()) return false;
      const Shape& shape = shapes[static_cast<std::size_t>(one.shape)];
      front = shape.front;
      back = shape.back;
    }
    if (one.start < 0 || !is_inside(one.start - front, front + one.length + back)) return false;
    asked.push_back({data.data() + one.start, one.length, one.shape});
  }
  return true;
}

PyObject* learn(PyObject*, PyObject* args) {
  PyObject *capsule, *input, *places, *around = nullptr;
  if (!PyArg_ParseTuple(args, "OOO|O", &capsule, &input, &places, &around)) return nullptr;
  auto* const known = static_cast<Attributes*>(PyCapsule_GetPointer(capsule, CAPSULE));
  if (!known) return nullptr;
  const View data(input);
  std::vector<Place> wanted;
  std::vector<ShapePlace> wanted_shapes;
  if (!data.ok || !taken(places, wanted) || (around && !taken(around, wanted_shapes))) return nullptr;
  std::vector<Attribute> asked;
  std::vector<std::uint64_t> keys;
  std::vector<Shape> shapes;
  asked.reserve(wanted.size());
  keys.reserve(wanted.size());
  if (!placed(data, wanted, asked, wanted_shapes, shapes)) {
    PyErr_SetString(PyExc_ValueError, "expected places inside the data, found one outside");
    return nullptr;
  }
  for (const Place& place : wanted) keys.push_back(place.hash);
  Learned found;
  Failure failure;
  Py_BEGIN_ALLOW_THREADS
  failure = guarded([&] { found = known->learn(asked, keys, shapes); });
  Py_END_ALLOW_THREADS
  if (failure != Failure::NONE) return raised(failure);
  Owned made(PyDict_New());
  PyObject* const to = made.get();
  if (!to || !put(to, "codes", found.codes) || !put(to, "key", found.key) || !put(to, "type", found.type) || !put(to, "is_go", found.is_go) ||
      !put(to, "integer", found.integer) || !put(to, "offsets", found.offsets) || !put(to, "text", found.text) ||
      !put(to, "doubles", list(found.doubles)) || !put(to, "keys", list(found.fresh_keys)) ||
      !put(to, "others", list(found.others)))
    return nullptr;
  return made.release();
}

PyObject* newlines(PyObject*, PyObject* args) {
  PyObject* input;
  if (!PyArg_ParseTuple(args, "O", &input)) return nullptr;
  const View data(input);
  if (!data.ok) return nullptr;
  long long count = 0;
  for (const Byte *p = data.data(), *end = p + data.size(); p < end; p++, count++) {
    p = static_cast<const Byte*>(std::memchr(p, '\n', static_cast<std::size_t>(end - p)));
    if (!p) break;
  }
  return PyLong_FromLongLong(count);
}

// Columns that Python gives to a function, of which the last ones are written.
template <std::size_t N> class Given {
 public:
  // ``written`` is how many of them are.
  Given(PyObject* args, std::size_t written) {
    ok = static_cast<std::size_t>(PyTuple_Size(args)) == N;
    if (!ok) PyErr_SetString(PyExc_TypeError, "expected other arguments");
    for (std::size_t i = 0; ok && i < N; i++) {
      PyObject* const one = PyTuple_GetItem(args, static_cast<Py_ssize_t>(i));
      views_[i] = std::make_unique<View>(one, i + written < N ? PyBUF_SIMPLE : PyBUF_WRITABLE);
      ok = views_[i]->ok;
    }
  }

  bool ok;

  template <class T> Column<T> column(std::size_t i) const { return {views_[i]->data(), views_[i]->size()}; }
  template <class T> Made<T> made(std::size_t i) const {
    return {const_cast<Byte*>(views_[i]->data()), views_[i]->size()};  // asked for to be written
  }

 private:
  std::unique_ptr<View> views_[N];
};

// Works without the interpreter; returns None, or an error where the columns do not fit each other.
template <class Work> PyObject* worked(bool fits, Work work) {
  Failure failure = Failure::NONE;
  if (fits) {
    Py_BEGIN_ALLOW_THREADS
    failure = guarded([&] { fits = work(); });
    Py_END_ALLOW_THREADS
  }
  if (failure != Failure::NONE) return raised(failure);
  if (!fits) {
    PyErr_SetString(PyExc_ValueError, "expected columns that fit each other, found others");
    return nullptr;
  }
  Py_INCREF(Py_None);
  return Py_None;
}

constexpr std::size_t MOST_ROWS = 0x7FFFFFFF;

PyObject* order(PyObject*, PyObject* args) {
  const Given<6> given(args, 1);
  if (!given.ok) return nullptr;
  const Keys keys{given.column<std::uint64_t>(0), given.column<std::uint64_t>(1), given.column<std::int64_t>(2),
                  given.column<std::int32_t>(3), given.column<std::int64_t>(4)};
  const auto made = given.made<std::int64_t>(5);
  const std::size_t count = keys.size(), sources = keys.source.size();
  const bool fits = count <= MOST_ROWS && keys.trace_lo.size() == count && keys.start_ns.size() == count &&
                    (!sources || sources == count) && keys.record_number.size() == sources && made.size() == count;
  return worked(fits, [&] {
    ByTrace(keys).run(made);
    return true;
  });
}

PyObject* copy_lists(PyObject*, PyObject* args) {
  const Given<5> given(args, 2);
  if (!given.ok) return nullptr;
  const auto codes = given.made<std::int32_t>(4);
  return worked(true, [&] {
    return tracekit::copy_lists(given.column<std::int64_t>(0), given.column<std::int32_t>(1),
                                given.column<std::int64_t>(2), given.made<std::int64_t>(3), codes);
  });
}

PyObject* has_twice(PyObject*, PyObject* args) {
  const Given<3> given(args, 0);
  if (!given.ok) return nullptr;
  const auto hi = given.column<std::uint64_t>(0), lo = given.column<std::uint64_t>(1), ids = given.column<std::uint64_t>(2);
  bool is_twice = false;
  const Owned done(worked(ids.size() <= MOST_ROWS && hi.size() == ids.size() && lo.size() == ids.size(), [&] {
    is_twice = tracekit::has_twice(hi, lo, ids);
    return true;
  }));
  return done.get() ? PyBool_FromLong(is_twice) : nullptr;
}

PyObject* are_distinct(PyObject*, PyObject* args) {
  const Given<9> given(args, 0);
  if (!given.ok) return nullptr;
  const AttributeColumns columns{given.column<std::int32_t>(0), given.column<std::int32_t>(1),
                                 given.column<std::int8_t>(2),  given.column<std::int8_t>(3),
                                 given.column<std::int64_t>(4), given.column<std::int64_t>(5),
                                 given.column<std::uint8_t>(6), given.column<std::int64_t>(7),
                                 given.column<Byte>(8)};
  bool are = false;
  const Owned done(worked(columns.fit(), [&] {
    are = tracekit::are_distinct(columns);
    return true;
  }));
  return done.get() ? PyBool_FromLong(are) : nullptr;
}

PyObject* look_up(PyObject*, PyObject* args) {
  const Given<5> given(args, 2);
  if (!given.ok) return nullptr;
  const auto ids = given.column<std::uint64_t>(0), wanted = given.column<std::uint64_t>(1);
  const auto trace = given.column<std::int32_t>(2);
  const auto found = given.made<std::int64_t>(3);
  const auto several = given.made<bool>(4);
  const std::size_t count = ids.size();
  const bool fits = count <= MOST_ROWS && wanted.size() == count && trace.size() == count && found.size() == count &&
                    several.size() == count;
  return worked(fits, [&] {
    tracekit::look_up(ids, wanted, trace, found, several);
    return true;
  });
}

template <class Hash> PyObject* text_hashes(PyObject*, PyObject* args) {
  const Given<3> given(args, 1);
  if (!given.ok) return nullptr;
  return worked(true, [&] {
    return tracekit::text_hashes<Hash>(given.column<std::int64_t>(0), given.column<Byte>(1), given.made<std::uint64_t>(2));
  });
}

PyObject* sequences(PyObject*, PyObject* args) {
  const Given<7> given(args, 1);
  if (!given.ok) return nullptr;
  return worked(true, [&] {
    Sequences table;
    return table.take(given.column<Byte>(0), given.column<Sequences::Step>(1), given.column<std::int32_t>(2),
                      given.column<std::uint64_t>(3)) &&
           table.search(given.column<std::int64_t>(4), given.column<Byte>(5), given.made<std::uint64_t>(6));
  });
}

// A function whose own C++ exceptions become Python's.
template <PyObject* (*function)(PyObject*, PyObject*)> PyObject* safe(PyObject* self, PyObject* args) {
  PyObject* made = nullptr;
  const Failure failure = guarded([&] { made = function(self, args); });
  return failure == Failure::NONE ? made : raised(failure);
}

PyMethodDef METHODS[] = {
    {"scan", safe<scan<Scan>>, METH_VARARGS,
     "scan(data, excluded)\n--\n\nReturn the columns of the lines of OTLP JSON in data, and the places of the others."},
    {"scan_items", safe<scan_items<Scan>>, METH_VARARGS,
     "scan_items(data, kind, most)\n--\n\nReturn the columns of items of a list in OTLP JSON, up to one that is odd."},
    {"scan_documents", safe<scan<Prepper>>, METH_VARARGS,
     "scan_documents(data, excluded)\n--\n\nAs scan, also of lines with span documents of OpenSearch."},
    {"scan_document_items", safe<scan_items<Prepper>>, METH_VARARGS,
     "scan_document_items(data, kind, most)\n--\n\nAs scan_items, of span documents of OpenSearch."},
    {"scan_protobuf", safe<scan<ProtobufScan>>, METH_VARARGS,
     "scan_protobuf(data, excluded)\n--\n\nReturn the columns of ResourceSpans in data, and the places of the others."},
    {"scan_xray", safe<scan_xray<&XrayScan::run>>, METH_VARARGS,
     "scan_xray(data)\n--\n\nReturn the columns of lines with answers of BatchGetTraces, and which are others."},
    {"scan_xray_traces", safe<scan_xray<&XrayScan::run_traces>>, METH_VARARGS,
     "scan_xray_traces(data)\n--\n\nReturn the columns of lines with one trace each, and which are others."},
    {"scan_xray_items", safe<scan_xray<&XrayScan::run_items>>, METH_VARARGS,
     "scan_xray_items(data)\n--\n\nReturn the columns of traces in a list, up to one that is cut off or handed back."},
    {"scan_xray_documents", safe<scan_xray<&XrayScan::run_documents>>, METH_VARARGS,
     "scan_xray_documents(data)\n--\n\nReturn the columns of lines with segment documents, and which are others."},
    {"scan_xray_list", safe<scan_xray<&XrayScan::run_list>>, METH_VARARGS,
     "scan_xray_list(data)\n--\n\nReturn the columns of segment documents in a list, as scan_xray_items."},
    {"scan_xray_stream", safe<scan_xray<&XrayScan::run_stream>>, METH_VARARGS,
     "scan_xray_stream(data)\n--\n\nReturn the columns of segment documents one after the other, likewise."},
    {"scan_xray_of_otel", safe<scan_xray<&XrayScan::run, true>>, METH_VARARGS,
     "scan_xray_of_otel(data)\n--\n\nReturn as scan_xray, with documents of OpenTelemetry as lines."},
    {"scan_xray_traces_of_otel", safe<scan_xray<&XrayScan::run_traces, true>>, METH_VARARGS,
     "scan_xray_traces_of_otel(data)\n--\n\nReturn as scan_xray_traces, likewise."},
    {"scan_xray_items_of_otel", safe<scan_xray<&XrayScan::run_items, true>>, METH_VARARGS,
     "scan_xray_items_of_otel(data)\n--\n\nReturn as scan_xray_items, likewise."},
    {"scan_jaeger", safe<scan_records<JaegerScan>>, METH_VARARGS,
     "scan_jaeger(data, ends)\n--\n\nReturn the columns of Jaeger's answers, each up to its end, and the others."},
    {"scan_jaeger_lines", safe<scan_all<JaegerScan, &JaegerScan::run_lines>>, METH_VARARGS,
     "scan_jaeger_lines(data)\n--\n\nReturn the columns of records of Jaeger, one a line, up to one that is handed back."},
    {"scan_jaeger_items", safe<scan_all<JaegerScan, &JaegerScan::run_items>>, METH_VARARGS,
     "scan_jaeger_items(data)\n--\n\nReturn the columns of the items of an array, up to one that is handed back."},
    {"scan_zipkin", safe<scan_records<ZipkinScan>>, METH_VARARGS,
     "scan_zipkin(data, ends)\n--\n\nReturn the columns of records of Zipkin, each up to its end, and the others."},
    {"scan_zipkin_lines", safe<scan_all<ZipkinScan, &ZipkinScan::run_lines>>, METH_VARARGS,
     "scan_zipkin_lines(data)\n--\n\nReturn the columns of records of Zipkin, one a line, up to one that is handed back."},
    {"scan_zipkin_items", safe<scan_all<ZipkinScan, &ZipkinScan::run_items>>, METH_VARARGS,
     "scan_zipkin_items(data)\n--\n\nReturn the columns of the items of an array, up to one that is handed back."},
    {"depth", safe<depth>, METH_VARARGS,
     "depth(data, depth, in_string, escaped)\n--\n\nReturn the lowest and the highest depth, and the state behind it."},
    {"docker", safe<docker>, METH_VARARGS,
     "docker(line)\n--\n\nReturn the text that a line of Docker's log contains, None for one that is odd."},
    {"items", safe<items>, METH_VARARGS,
     "items(data)\n--\n\nReturn where the objects of an array begin and end, as far as they are whole and plain."},
    {"messages", safe<messages>, METH_VARARGS,
     "messages(data, start)\n--\n\nReturn where whole ResourceSpans from start on end, and how many they are."},
    {"attributes", safe<attributes>, METH_VARARGS,
     "attributes(notation)\n--\n\nReturn an empty table of distinct attributes as a format writes them."},
    {"learn", safe<learn>, METH_VARARGS,
     "learn(table, data, places, shapes=b'')\n--\n\nReturn the codes of attributes, and the values of those that are new."},
    {"newlines", safe<newlines>, METH_VARARGS, "newlines(data)\n--\n\nReturn how many newlines there are."},
    {"order", safe<order>, METH_VARARGS,
     "order(trace_hi, trace_lo, start_ns, source, record_number, made)\n--\n\nWrite the rows by trace, start and record."},
    {"copy_lists", safe<copy_lists>, METH_VARARGS,
     "copy_lists(offsets, codes, rows, new_offsets, new_codes)\n--\n\nWrite the lists of codes of some rows."},
    {"has_twice", safe<has_twice>, METH_VARARGS,
     "has_twice(trace_hi, trace_lo, span_id)\n--\n\nReturn whether a trace, a run of rows, has an id twice."},
    {"look_up", safe<look_up>, METH_VARARGS,
     "look_up(ids, wanted, trace, found, several)\n--\n\nWrite the first row of its trace with each wanted id."},
    {"are_distinct", safe<are_distinct>, METH_VARARGS,
     "are_distinct(key, namespace, type, origin, integer, double, is_indexed, offsets, text)\n--\n\n"
     "Return whether no two rows of the table of attributes are equal, by their hashes."},
    {"blake2b_hashes", safe<text_hashes<Blake2b>>, METH_VARARGS,
     "blake2b_hashes(offsets, text, made)\n--\n\nWrite the BLAKE2b hash of each text."},
    {"sip_hashes", safe<text_hashes<SipHash>>, METH_VARARGS,
     "sip_hashes(offsets, text, made)\n--\n\nWrite the SipHash of each text that pandas has."},
    {"sequences", safe<sequences>, METH_VARARGS,
     "sequences(sets, steps, counts, marks, offsets, text, made)\n--\n\n"
     "Write by text the marks of the sequences of bytes in it."},
    {nullptr, nullptr, 0, nullptr}};

#if defined(__VERSION__) && defined(__clang__)
constexpr char COMPILER[] = __VERSION__;
#elif defined(__VERSION__)
constexpr char COMPILER[] = "gcc " __VERSION__;
#else
constexpr char COMPILER[] = "C++";
#endif

int prepare(PyObject* module) {
  const Failure failure = guarded([] {
    std::random_device random;
    tracekit::hash_seed = static_cast<std::uint64_t>(random()) << 32 | random();
  });
  if (failure != Failure::NONE) {
    raised(failure);
    return -1;
  }
  return PyModule_AddStringConstant(module, "COMPILER", COMPILER);
}

PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, reinterpret_cast<void*>(prepare)}, {0, nullptr}};

PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_scan", "The compiled scanner.", 0, METHODS, SLOTS, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__scan() { return PyModuleDef_Init(&MODULE); }
