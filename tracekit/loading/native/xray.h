// Reads answers of BatchGetTraces, traces and segment documents to rows of segments and subsegments.  Names, members of
// blocks and what a resource depends on become codes of the distinct ones in these bytes, which Python decodes; a record
// with anything unexpected adds nothing and is handed back.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "interner.h"
#include "json.h"
#include "members.h"
#include "unescape.h"

namespace tracekit {

struct XrayPart {
  std::uint64_t trace_hi = 0, trace_lo = 0, span_id = 0, parent_id = 0;
  std::int64_t start_ns = 0, end_ns = 0, line = 0;
  Text name_text;
  std::int32_t name = -1, owner = -1;  // owner: -1 for a subsegment that came on its own, and all parts in it
  std::uint16_t bits = 0;
};

// What a part is; xray/compiled.py has the same numbers.
enum XrayBit : std::uint16_t {
  IS_SEGMENT = 1, HAS_CALLER = 2, HAS_END = 4, IN_PROGRESS = 8, INFERRED = 16, ERROR = 32, FAULT = 64, THROTTLE = 128,
  CALLS = 256
};

// The kinds of pieces, in the order of a part's attributes.
enum XraySlot : std::int32_t {
  RESOURCE, COLD_START, CALL, CALLEE, REQUEST, RESPONSE, HTTP, ANNOTATIONS, METADATA, OTEL_METADATA, SQL, USER,
  PRECURSORS, TRACED, FLAGS, CAUSE, LINKS, SLOTS
};

// A part of what a row says: a member of a block, or a whole block, as it is written.
struct XrayPiece {
  std::int64_t row = 0;
  std::int32_t slot = 0, code = -1;
  Text text;
};

struct XrayTrace {
  std::uint64_t hi = 0, lo = 0;
  std::int64_t line = 0;
  Text duration_text;
  std::int32_t duration = -1;
  std::uint8_t is_limited = 0;
};

struct XrayLine {
  std::int64_t traces = 0, start = 0, stop = 0;  // start, stop: places in the input
  std::int64_t texts = 0;                        // documents that are written as lines
  Text unprocessed_text, token_text;
  std::int32_t unprocessed = -1, token = -1;
  std::uint8_t is_retrieved = 0;                 // an answer of ListRetrievedTraces
};

// How often records were written in other ways than as answers; the names are those of the Python lane.
struct XrayDialects {
  std::int64_t segment_documents = 0, document_objects = 0, put_trace_segments = 0, daemon = 0;
};

// What the resource of a segment depends on; a text without bytes is missing, and null is written as it is.
struct XrayOwner {
  Text name, origin, arn, aws, service, metadata;
};

class XrayScan {
 public:
  // ``has_otel``: documents are of OpenTelemetry, and are not read but written as lines, which otlp.h reads.
  XrayScan(const Byte* data, std::size_t size, bool has_otel)
      : data_(data), end_(data + size), has_otel_(has_otel), room_(new Byte[size + SPARE]), free_(room_.get()) {}

  // The documents that were written, each with a newline, and how many bytes they are.
  const Byte* written() const { return room_.get(); }
  std::size_t written_size() const { return has_otel_ ? static_cast<std::size_t>(free_ - room_.get()) : 0; }

  Interner names, texts{64};
  Interner owners{64, &keys_}, callees{64, &keys_};
  std::vector<Interner> blocks{static_cast<std::size_t>(SLOTS)};
  std::vector<XrayPart> parts;
  std::vector<XrayPiece> pieces;
  std::vector<XrayTrace> traces;
  std::vector<XrayLine> lines;
  std::vector<std::int64_t> others;  // the numbers of the lines that are handed back
  XrayDialects dialects;             // of all records that were read

  void run() {
    run_lines([&](Reader& r, XrayLine& l) { answer(r, l); });
  }

  // Reads lines with one trace each.
  void run_traces() {
    run_lines([&](Reader& r, XrayLine&) {
      begin();
      trace(r);
    });
  }

  // Reads lines with segment documents on their own.
  void run_documents() {
    run_lines([&](Reader& r, XrayLine&) {
      begin();
      alone(r);
    });
  }

  // Reads the traces of a list, up to one that is cut off or handed back; the first begins the data.
  void run_items() {
    run_each([&](Reader& r) { trace(r); }, [](Reader& r) { return r.is(','); });
  }

  // Likewise segment documents in a list.
  void run_list() {
    run_each([&](Reader& r) { object_alone(r); }, [](Reader& r) { return r.is(','); });
  }

  // Likewise segment documents one after the other.
  void run_stream() {
    run_each([&](Reader& r) { object_alone(r); }, [](Reader& r) { return r.p < r.end; });
  }

 private:
  static constexpr int DEEPEST = MAX_DEPTH / 4 - 1;  // levels of subsegments, as in xray/tree.py
  static constexpr std::size_t MANY = 24;            // members: with more, a block is read as a whole

  // ------------------------------------------------------------------ lines

  template <class Read> void run_lines(Read read) {
    std::int64_t number = 0;
    for (const Byte* p = data_; p < end_; number++) {
      auto* stop = static_cast<const Byte*>(std::memchr(p, '\n', static_cast<std::size_t>(end_ - p)));
      if (!stop) stop = end_;
      Reader r(p, stop, true);
      const bool is_read = record(r, [&](XrayLine& l) {
        read(r, l);
        r.blank();
        if (r.p < stop) odd();
      });
      if (!is_read) others.push_back(number);
      p = stop + 1;
    }
  }

  template <class Read, class Next> void run_each(Read read, Next has_next) {
    for (const Byte* p = data_;;) {
      Reader r(p, end_, false);
      r.blank();
      const bool is_read = record(r, [&](XrayLine&) {
        begin();
        read(r);
      });
      if (!is_read || !has_next(r)) return;
      p = r.p;
    }
  }

  // Adds what ``read`` reads, or nothing: then it returns false.
  template <class Read> bool record(Reader& r, Read read) {
    const std::size_t part = parts.size(), piece = pieces.size(), trace = traces.size();
    Byte* const free = free_;
    XrayLine l;
    const Byte* const from = r.p;
    const bool is_read = whole(
        [&] {
          read(l);
          if (r.high && !is_utf8(from, r.p)) odd();
        },
        parts, pieces, traces);
    if (!is_read) {
      free_ = free;
      return false;
    }
    if (late_) last(part, piece);
    const auto first = pieces.begin() + static_cast<std::ptrdiff_t>(piece);
    std::stable_sort(first, pieces.end(), [](const XrayPiece& a, const XrayPiece& b) {
      return a.row != b.row ? a.row < b.row : a.slot < b.slot;
    });
    dialects.segment_documents += now_.segment_documents;
    dialects.document_objects += now_.document_objects;
    dialects.put_trace_segments += now_.put_trace_segments;
    dialects.daemon += now_.daemon;
    l.traces = static_cast<std::int64_t>(traces.size() - trace);
    l.texts = texts_;
    l.start = from - data_;
    l.stop = r.p - data_;
    if (l.unprocessed_text.length) l.unprocessed = texts.code(l.unprocessed_text);
    if (l.token_text.length) l.token = texts.code(l.token_text);
    lines.push_back(l);
    for (auto t = traces.begin() + static_cast<std::ptrdiff_t>(trace); t != traces.end(); ++t)
      if (t->duration_text.length) t->duration = texts.code(t->duration_text);
    std::vector<std::int32_t> known;
    for (const XrayOwner& one : line_owners_) known.push_back(owner(one));
    for (auto s = parts.begin() + static_cast<std::ptrdiff_t>(part); s != parts.end(); ++s) {
      s->name = names.code(s->name_text);
      if (s->owner >= 0) s->owner = known[static_cast<std::size_t>(s->owner)];
    }
    for (auto p = first; p != pieces.end(); ++p)
      p->code = p->slot == RESOURCE ? known[static_cast<std::size_t>(p->code)] : coded(*p);
    return true;
  }

  std::int32_t coded(const XrayPiece& piece) {
    const auto at = static_cast<std::size_t>(piece.code);
    switch (piece.slot) {
      case CALLEE: return pair(line_callees_[at].first, names.code(line_callees_[at].second));
      case COLD_START: case FLAGS: return piece.code;
      default: return blocks[static_cast<std::size_t>(piece.slot)].code(piece.text);
    }
  }

  std::int32_t owner(const XrayOwner& o) {
    std::int32_t codes[6], *to = codes;
    for (const Text* text : {&o.name, &o.origin, &o.arn, &o.aws, &o.service, &o.metadata})
      *to++ = text->at ? texts.code(*text) : -1;
    const auto* raw = reinterpret_cast<const Byte*>(codes);
    return owners.code({raw, sizeof codes, false});
  }

  std::int32_t pair(std::int32_t first, std::int32_t second) {
    const std::int32_t codes[2] = {first, second};
    return callees.code({reinterpret_cast<const Byte*>(codes), sizeof codes, false});
  }

  // Moves the parts that wait for their cause to the end of their line.
  void last(std::size_t part, std::size_t piece) {
    const std::size_t count = parts.size() - part;
    std::vector<std::size_t> order(count);
    for (std::size_t i = 0; i < count; i++) order[i] = i;
    std::stable_partition(order.begin(), order.end(), [&](std::size_t i) { return !is_late_[i]; });
    std::vector<XrayPart> moved;
    moved.reserve(count);
    std::vector<std::size_t> place(count);
    for (std::size_t i = 0; i < count; i++) {
      moved.push_back(parts[part + order[i]]);
      place[order[i]] = i;
    }
    std::copy(moved.begin(), moved.end(), parts.begin() + static_cast<std::ptrdiff_t>(part));
    for (std::size_t i = piece; i < pieces.size(); i++)
      pieces[i].row = static_cast<std::int64_t>(part + place[static_cast<std::size_t>(pieces[i].row) - part]);
  }

  // ------------------------------------------------------------------ answers

  // Forgets the line before.
  void begin() {
    now_ = XrayDialects();
    texts_ = 0;
    late_ = false;
    first_ = parts.size();
    is_late_.clear();
    line_owners_.clear();
    line_callees_.clear();
  }

  void answer(Reader& r, XrayLine& l) {
    begin();
    Once once;
    object(r, [&](const Text& key) {
      if (key.is("Traces")) {
        once(0);
        each(r, [&] { trace(r); });
      } else if (key.is("UnprocessedTraceIds")) {
        once(1);
        const Text raw = r.raw(1);
        if (!raw.is("[]") && !raw.is("null")) l.unprocessed_text = raw;
      } else if (key.is("NextToken")) {
        once(2);
        const Text raw = r.raw(1);
        if (!raw.is("null")) l.token_text = raw;
      } else if (key.is("ResponseMetadata")) {
        once(3);
        r.skip(1);
      } else if (key.is("RetrievalStatus")) {
        once(4);
        if (!r.text().is("COMPLETE")) odd();
        l.is_retrieved = 1;
      } else if (key.is("TraceFormat")) {
        once(5);
        r.skip(1);
      } else {
        odd();
      }
    });
    if (!once.all(1)) odd();
  }

  void trace(Reader& r) {
    XrayTrace t;
    t.line = static_cast<std::int64_t>(lines.size());
    Once once;
    const std::size_t first = parts.size();
    trace_id_ = Text();
    entries_.clear();
    object(r, [&](const Text& key) {
      if (key.is("Id")) {
        once(0);
        trace_id_ = r.text();
        if (trace_id_.escaped) odd();
        id_of_trace(trace_id_, t);
      } else if (key.is("Segments") || key.is("Spans")) {  // the second of ListRetrievedTraces
        once(1);
        each(r, [&] { entry(r); });
      } else if (key.is("Duration")) {
        once(2);
        if (!r.null()) t.duration_text = r.number();
      } else if (key.is("LimitExceeded")) {
        once(3);
        if (!r.null()) t.is_limited = truth(r);
      } else {
        odd();
      }
    });
    if (!once.all(3)) odd();
    settle(first, t);
    traces.push_back(t);
  }

  // Gives parts the id of their trace, with which all ids that they name have to agree.
  void settle(std::size_t first, const XrayTrace& t) {
    for (const Text& id : entries_)
      if (!same(id, trace_id_)) odd();
    for (std::size_t i = first; i < parts.size(); i++) {
      parts[i].trace_hi = t.hi;
      parts[i].trace_lo = t.lo;
    }
  }

  // 1-8 digits-24 digits, or 32 digits.
  static void id_of_trace(const Text& text, XrayTrace& t) {
    if (text.length == 35 && text.at[0] == '1' && text.at[1] == '-' && text.at[10] == '-') {
      Byte digits[32];
      std::memcpy(digits, text.at + 2, 8);
      std::memcpy(digits + 8, text.at + 11, 24);
      t.hi = hex(digits);
      t.lo = hex(digits + 16);
    } else if (text.length == 32) {
      t.hi = hex(text.at);
      t.lo = hex(text.at + 16);
    } else {
      odd();
    }
    if (!(t.hi | t.lo)) odd();
  }

  void entry(Reader& r) {
    Text id;
    Once once;
    object(r, [&](const Text& key) {
      if (key.is("Id")) {
        once(0);
        id = r.text();
        if (id.escaped) odd();
      } else if (key.is("Document")) {
        once(1);
        if (has_otel_) {
          line_of_document(r);
        } else if (r.next() == '{') {
          now_.document_objects++;
          document(r, true);
        } else {
          text_of_document(r);
        }
      } else {
        odd();
      }
    });
    if (!once.all(3)) odd();
    if (id.length && !has_otel_ && !same(id, root_id_)) odd();
  }

  // Writes the text of a document on a line of its own; there is room for a newline in place of a quote.
  void line_of_document(Reader& r) {
    Byte* const from = free_;
    const Text text = unescaped(r);
    if (std::memchr(from, '\n', text.length)) {  // it is between its values, or not JSON
      Reader inner(from, free_, false);
      inner.blank();
      inner.skip(0);
      std::replace(from, free_, Byte{'\n'}, Byte{' '});
    }
    *free_++ = '\n';
    texts_++;
  }

  void text_of_document(Reader& r) {
    const Text text = unescaped(r);
    Reader inner(text.at, text.at + text.length, false);
    document(inner, false);
    inner.blank();
    if (inner.p < inner.end) odd();
  }

  // The characters of a string, in this scan's own memory.
  Text unescaped(Reader& r) {
    const Byte* const from = free_;
    free_ = unescape(r, free_, spelled_);
    if (free_ - from > 0x7FFFFFFF) odd();
    return {from, static_cast<std::uint32_t>(free_ - from), false};
  }

  // ------------------------------------------------------------------ documents on their own

  // A document, a list of them, what the daemon receives before one, or the body of PutTraceSegments.
  void alone(Reader& r) {
    if (r.next() == '[') {
      bool any = false;
      each(r, [&] {
        object_alone(r);
        any = true;
      });
      if (!any) odd();
      return;
    }
    const Byte* const from = r.p;
    r.want('{');
    const Text first = r.key();
    r.p = from;
    if (first.is("format") || first.is("version")) {
      header(r);
    } else if (first.is("TraceSegmentDocuments")) {
      now_.put_trace_segments++;
      Once once;
      object(r, [&](const Text& key) {
        if (!key.is("TraceSegmentDocuments")) odd();
        once(0);
        each(r, [&] { with_its_trace([&] { text_of_document(r); }); });
      });
    } else {
      object_alone(r);
    }
  }

  void header(Reader& r) {
    Once once;
    object(r, [&](const Text& key) {
      if (key.is("format")) {
        once(0);
        if (!r.text().is("json")) odd();
      } else if (key.is("version")) {
        once(1);
        r.number();
      } else {
        odd();
      }
    });
    if (!once.all(3)) odd();
    now_.daemon++;
  }

  void object_alone(Reader& r) {
    now_.segment_documents++;
    with_its_trace([&] { document(r, true); });
  }

  // Reads a document that names its trace itself.
  template <class Read> void with_its_trace(Read read) {
    const std::size_t first = parts.size();
    entries_.clear();
    read();
    XrayTrace t;
    trace_id_ = root_trace_;
    id_of_trace(trace_id_, t);
    settle(first, t);
  }

  // ------------------------------------------------------------------ documents

  // ``is_object``: not a text in JSON, so that the Python lane parses it with its record.
  void document(Reader& r, bool is_object) {
    is_object_ = is_object;
    const std::size_t piece = pieces.size(), first = parts.size();
    XrayOwner owner;
    has_initialization_ = false;
    part(r, nullptr, owner, 0);
    const bool by_otel = has(owner.aws, "pentelemetry") || has(owner.aws, "penTelemetry") ||
                         has(owner.metadata, "\"otel.resource.");
    if (is_object && (spells(owner.aws) || spells(owner.metadata))) odd();
    const bool is_segment = parts[first].bits & IS_SEGMENT;
    if (!by_otel) owner.metadata = Text();
    for (std::size_t i = piece; by_otel && i < pieces.size(); i++)
      if (pieces[i].slot == METADATA) pieces[i].slot = OTEL_METADATA;
    if (is_segment) {  // these belong to its resource
      const auto row = static_cast<std::int64_t>(first);
      const auto is_owners = [row](const XrayPiece& p) {
        return p.row == row && (p.slot == CALL || p.slot == OTEL_METADATA);
      };
      pieces.erase(std::remove_if(pieces.begin() + static_cast<std::ptrdiff_t>(piece), pieces.end(), is_owners),
                   pieces.end());
    }
    if (is_segment) {
      const auto number = static_cast<std::int32_t>(line_owners_.size());
      for (std::size_t i = first; i < parts.size(); i++) parts[i].owner = number;
      put(first, RESOURCE, static_cast<std::int32_t>(line_owners_.size()));
      line_owners_.push_back(owner);
      if (has_initialization_ && means(owner.origin, "AWS::Lambda::Function")) put(first, COLD_START, 0);
    }
  }

  template <std::size_t N> static bool has(const Text& text, const char (&word)[N]) {
    const Byte* const end = text.at + text.length;
    return text.length >= N - 1 && std::search(text.at, end, word, word + N - 1) != end;
  }

  // Whether a letter, a point or a quote is written as its number: then the words above may be there and not be found.
  static bool spells(const Text& text) {
    static constexpr Byte ESCAPE[] = {'\\', 'u', '0', '0'};
    for (const Byte *p = text.at, *end = p + text.length; end - p >= 6; p++) {
      p = std::search(p, end, ESCAPE, ESCAPE + sizeof ESCAPE);
      if (end - p < 6) return false;
      const int c = 16 * hex_digit(p[4]) + hex_digit(p[5]);
      if (c == '.' || c == '"' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) return true;
    }
    return false;
  }

  void part(Reader& r, const Text* above, XrayOwner& owner, int depth) {
    if (depth >= DEEPEST) odd();
    const std::size_t row = parts.size();
    parts.emplace_back();
    is_late_.push_back(false);
    XrayPart s;
    Text id, name, parent, space, type, origin, arn, aws, service, metadata, own_trace;
    Once once;
    int namespace_number = -1;
    object(r, [&](const Text& key) {
      const int number = member(key);
      once(static_cast<unsigned>(number));
      if (is_object_ && (BLOCKS >> number & 1) && r.null()) return;
      switch (number) {
        case ID:
          id = r.text();
          if (id.length != 16 || id.escaped) odd();
          s.span_id = hex(id.at);
          if (!s.span_id) odd();
          break;
        case NAME: s.name_text = name = r.text(); break;
        case START: s.start_ns = time(r); break;
        case END:
          s.end_ns = time(r);
          s.bits |= HAS_END;
          break;
        case PARENT: parent = text(r); break;
        case NAMESPACE:
          space = text(r);
          namespace_number = space.is("aws") ? 0 : space.is("remote") ? 1 : space.is("local") ? 2 : -1;
          if (space.length && namespace_number < 0) odd();
          break;
        case TRACE: {
          const Text trace = text(r);
          if (!above) own_trace = trace;
          if (trace.length && (entries_.empty() || !same(entries_.back(), trace))) entries_.push_back(trace);
          break;
        }
        case TYPE:
          type = text(r);
          if (type.at && !type.is("segment") && !type.is("subsegment")) odd();
          break;
        case ORIGIN: origin = optional_text(r); break;
        case ARN: arn = optional_text(r); break;
        case PROGRESS: if (truth(r)) s.bits |= IN_PROGRESS; break;
        case INFER: if (truth(r)) s.bits |= INFERRED; break;
        case ERR: if (truth(r)) s.bits |= ERROR; break;
        case FLT: if (truth(r)) s.bits |= FAULT; break;
        case THR: if (truth(r)) s.bits |= THROTTLE; break;
        case HTTP_: http(r, row); break;
        case AWS: {
          r.blank();
          const Byte* const from = r.p;
          block(r, row, CALL);
          aws = r.slice(from, false);
          break;
        }
        case ANNOTATED: block(r, row, ANNOTATIONS); break;
        case META:
          metadata = r.raw(WITHIN);
          put(row, METADATA, metadata);
          break;
        case CAUSED: {
          const Text cause = r.raw(WITHIN);
          if (cause.at[0] != '"' && cause.at[0] != '{' && !cause.is("null")) odd();
          if (cause.at[0] == '"' && cause.length > 2) late_ = is_late_[row - first_] = true;
          if (cause.at[0] != 'n') put(row, CAUSE, cause);
          break;
        }
        case SQL_: put(row, SQL, r.raw(WITHIN)); break;
        case SERVICE: service = r.raw(WITHIN); break;
        case LINKED: if (!r.null()) put(row, LINKS, r.raw(WITHIN)); break;
        case USER_: put(row, USER, r.raw(WITHIN)); break;
        case PRECURSED: put(row, PRECURSORS, r.raw(WITHIN)); break;
        case TRACED_: put(row, TRACED, r.raw(WITHIN)); break;
        default:
          if (r.null()) break;
          if (!id.at) odd();  // subsegments before the id that they name
          each(r, [&] { part(r, &id, owner, depth + 1); });
      }
    });
    const unsigned needed = 1u << ID | 1u << NAME | 1u << START;
    if (!once.all(needed) || !(s.bits & (HAS_END | IN_PROGRESS))) odd();
    if (above) {
      if (parent.length && !same(parent, *above)) odd();
      s.parent_id = hex(above->at);
    } else if (parent.length) {
      if (parent.length != 16) odd();
      s.parent_id = hex(parent.at);
      if (!s.parent_id) odd();
      s.bits |= HAS_CALLER;
    }
    if (!above) {
      root_id_ = id;
      root_trace_ = own_trace;
    }
    const bool is_segment = !above && !type.is("subsegment");
    if (is_segment) {
      s.bits |= IS_SEGMENT;
    } else if (type.is("segment") || origin.length || arn.length || service.at) {
      odd();
    }
    if (depth == 1 && means(name, "Initialization")) has_initialization_ = true;
    if (!above) owner = {name, origin, arn, aws, service, metadata};
    if (namespace_number >= 0) {
      const bool calls = namespace_number < 2 && !(s.bits & INFERRED);
      if (calls) s.bits |= CALLS;
      put(row, CALLEE, static_cast<std::int32_t>(line_callees_.size()));
      line_callees_.push_back({namespace_number << 1 | calls, name});
    }
    if (s.bits & (ERROR | FAULT | THROTTLE)) put(row, FLAGS, (s.bits & (ERROR | FAULT | THROTTLE)) / ERROR);
    s.line = static_cast<std::int64_t>(lines.size());
    parts[row] = s;
  }

  // The members of a part by length.
  enum { ID, AWS, SQL_, NAME, TYPE, HTTP_, USER_, ERR, FLT, CAUSED, LINKED, ORIGIN, TRACED_, SERVICE, END, TRACE, THR,
         INFER, META, PARENT, NAMESPACE, START, PROGRESS, ANNOTATED, INNER, ARN, PRECURSED };
  static constexpr unsigned BLOCKS = 1u << AWS | 1u << SQL_ | 1u << HTTP_ | 1u << USER_ | 1u << CAUSED | 1u << LINKED |
                                     1u << TRACED_ | 1u << SERVICE | 1u << META | 1u << ANNOTATED | 1u << PRECURSED;

  // The number of a member; an unknown one is odd.
  static int member(const Text& key) {
    static constexpr const char* NAMES[] = {
        "id", "aws", "sql", "name", "type", "http", "user", "error", "fault", "cause", "links", "origin", "traced",
        "service", "end_time", "trace_id", "throttle", "inferred", "metadata", "parent_id", "namespace", "start_time",
        "in_progress", "annotations", "subsegments", "resource_arn", "precursor_ids"};
    static constexpr int FIRST[] = {0, 0, 0, 1, 3, 7, 11, 13, 14, 19, 21, 22, 25, 26, 27};  // of each length
    if (key.length > 13) odd();
    for (int number = FIRST[key.length]; number < FIRST[key.length + 1]; number++)
      if (equal(key.at, reinterpret_cast<const Byte*>(NAMES[number]), key.length)) return number;
    odd();
  }

  // ------------------------------------------------------------------ blocks

  static constexpr int WITHIN = MAX_DEPTH / 2;  // levels above a block, so that a block has at most half of them

  // Adds the members of an object as pieces, and returns it as it is written; false for one that has to be read whole.
  template <class Take> static bool members(Reader& r, int depth, Text& raw, Take take) {
    if (r.next() != '{') {
      raw = r.raw(depth);
      return false;
    }
    const Byte* const begin = r.p;
    Text known[MANY];
    std::size_t count = 0;
    bool is_plain = true;
    r.want('{');
    if (!r.is('}')) {
      do {
        r.blank();
        const Byte* const from = r.p;
        const Text key = r.text();
        r.want(':');
        is_plain = take(key, from) && is_plain && !key.escaped && count < MANY;
        for (std::size_t i = 0; is_plain && i < count; i++) is_plain = !same(known[i], key);
        if (is_plain) known[count++] = key;
      } while (r.is(','));
      r.want('}');
    }
    raw = r.slice(begin, false);
    return is_plain;
  }

  // Adds a block member by member, or as a whole.
  void block(Reader& r, std::size_t row, XraySlot slot) {
    const std::size_t first = pieces.size();
    Text raw;
    const bool is_plain = members(r, WITHIN, raw, [&](const Text& key, const Byte* from) {
      r.skip(WITHIN + 1);
      put(row, slot, r.slice(from, false));
      return slot != CALL || !key.is("table_names");  // its attributes depend on each other
    });
    if (is_plain) return;
    pieces.resize(first);
    put(row, slot, raw);
  }

  void http(Reader& r, std::size_t row) {
    const std::size_t first = pieces.size();
    Text raw;
    const bool is_plain = members(r, WITHIN, raw, [&](const Text& key, const Byte* from) {
      const bool is_request = key.is("request");
      if (!is_request && !key.is("response")) {
        r.skip(WITHIN + 1);
        put(row, HTTP, r.slice(from, false));
        return true;
      }
      Text side;
      return members(r, WITHIN + 1, side, [&](const Text&, const Byte* member) {
        r.skip(WITHIN + 2);
        put(row, is_request ? REQUEST : RESPONSE, r.slice(member, false));
        return true;
      });
    });
    if (is_plain) return;
    pieces.resize(first);
    put(row, HTTP, raw);
  }

  void put(std::size_t row, XraySlot slot, const Text& text) {
    pieces.push_back({static_cast<std::int64_t>(row), slot, -1, text});
  }

  void put(std::size_t row, XraySlot slot, std::int32_t code) {
    pieces.push_back({static_cast<std::int64_t>(row), slot, code, Text()});
  }

  // ------------------------------------------------------------------ values

  // A text without escapes, or none for null.
  static Text text(Reader& r) {
    if (r.null()) return Text();
    const Text found = r.text();
    if (found.escaped) odd();
    return found;
  }

  // Whether a text says this, however it is written.
  template <std::size_t N> static bool means(const Text& text, const char (&word)[N]) {
    if (!text.escaped) return text.length && text.is(word);
    std::vector<Byte> letters;
    put_text(letters, text);
    return letters.size() == N - 1 && equal(letters.data(), reinterpret_cast<const Byte*>(word), N - 1);
  }

  static bool truth(Reader& r) {
    if (r.word("true", 4)) return true;
    if (!r.word("false", 5)) odd();
    return false;
  }

  // Seconds as nanoseconds, with at most nine digits behind the point, as in xray/times.py.
  static std::int64_t time(Reader& r) {
    const Text number = r.number();
    const Byte* p = number.at;
    const Byte* end = p + number.length;
    const Byte* const exponent = std::find_if(p, end, [](Byte c) { return (c | 0x20) == 'e'; });
    std::uint64_t value = 0;
    int digits = 0, point = -1;
    for (; p < exponent; p++) {
      if (*p == '.') {
        point = digits;
      } else if (is_digit(*p) && digits < 19) {
        value = value * 10 + static_cast<unsigned>(*p - '0');
        digits++;
      } else {
        odd();
      }
    }
    if (exponent < end) {
      const Byte* const power = exponent + (end - exponent == 3 && exponent[1] == '+' ? 2 : 1);
      if (end - power != 1 || *power != '9' || point != 1 || digits < 10) odd();
      point = 10;
    }
    if (point < 0) point = digits;
    if (point != 10) odd();
    for (; digits < 19; digits++) value *= 10;  // below 10^19, so it fits
    if (value / 1000000000 >= LATEST) odd();
    return static_cast<std::int64_t>(value);
  }

  static constexpr std::uint64_t LATEST = 0x7FFFFFFFFFFFFFFF / 1000000000;  // seconds

  Arena keys_;
  const Byte* const data_;
  const Byte* const end_;
  const bool has_otel_;
  std::int64_t texts_ = 0;  // of the present line
  const std::unique_ptr<Byte[]> room_;
  Byte* free_;
  std::size_t first_ = 0;  // row of the line
  bool late_ = false, has_initialization_ = false, is_object_ = false;
  XrayDialects now_;  // of the present record
  Text trace_id_, root_id_, root_trace_;
  std::vector<bool> is_late_;  // by row of the line
  std::vector<Text> entries_;  // the trace ids that the documents of a trace name
  std::vector<XrayOwner> line_owners_;
  std::vector<Byte> spelled_;
  std::vector<std::pair<std::int32_t, Text>> line_callees_;
};

}  // namespace tracekit
