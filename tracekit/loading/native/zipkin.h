// Reads spans of Zipkin v2 and v1, alone, in lists and in lists of lists, to rows.  Tags, endpoints and names become codes
// of the distinct ones in these bytes, which Python decodes; a record with anything unexpected adds nothing and is handed
// back.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "interner.h"
#include "json.h"
#include "members.h"
#include "microseconds.h"
#include "rows.h"
#include "tags.h"

namespace tracekit {

// What a span of Zipkin has beside the columns of every span.
struct ZipkinSpan {
  Text local_text, remote_text, scope_text, version_text;
  std::int32_t local = -1, remote = -1, scope = -1;  // remote: twice the code of the endpoint, and 1 if it is a client
  std::uint32_t quality = 0;
};

struct ZipkinRecord {
  std::int64_t padded = 0;  // ids of traces with 16 digits
  std::int64_t v1 = 0;      // spans of v1
};

// An endpoint as it is written, and the name of its service.
struct ZipkinEndpoint {
  Text raw, service;
};

struct ZipkinAnnotation {
  std::int64_t time_ns = 0;
  Text value;
  ZipkinEndpoint endpoint;
};

// An annotation of v1 with a key: a tag, or the address of the other side.
struct ZipkinBinary {
  Tag tag;
  ZipkinEndpoint endpoint;
  int half = 0;  // to which half it belongs; -1 for an address
};

// A half of a call in v1, or a span without a call.
struct ZipkinHalf {
  Span span;
  ZipkinSpan more;
  Text service;
  std::int64_t length = -1;
  int side = -1;
};

class ZipkinScan : public Rows {
 public:
  ZipkinScan(const Byte* data, std::size_t size) : data_(data), end_(data + size) {}

  Interner endpoints{64}, scopes{64, &pairs_};  // scopes: pairs of codes of texts, the name and the version
  std::vector<ZipkinSpan> more;
  std::vector<ZipkinRecord> records;
  std::vector<std::int64_t> places;  // where each of the items begins and ends

  // Reads the records that end at these places, where all or none are wanted up to one that is handed back; the first
  // begins the data.
  void run(const std::vector<std::int64_t>& ends, bool is_whole = false) {
    std::int64_t start = 0;
    for (std::size_t number = 0; number < ends.size() && !(is_whole && others.size()); number++) {
      const std::int64_t stop = ends[number];
      Reader r(data_ + start, data_ + stop, false);
      const bool is_read = record(r, static_cast<std::int64_t>(number), [&] {
        r.blank();
        if (r.p < r.end) odd();
      });
      if (!is_read) others.push_back({static_cast<std::int64_t>(number), start, stop, 0});
      start = stop;
    }
  }

  // Reads the records of lines, one a line; unless all can be read, they are read otherwise.
  void run_lines() { run(ends_of_lines(data_, end_), true); }

  // Reads the items of an array, up to one that is cut off or handed back; the first begins the data.
  void run_items() {
    const Byte* p = data_;
    for (std::int64_t number = 0;; number++) {
      Reader r(p, end_, false);
      r.blank();
      const Byte* const from = r.p;
      if (!record(r, number, [] {})) return;
      places.push_back(from - data_);
      places.push_back(r.p - data_);
      if (!r.is(',')) return;
      p = r.p;
    }
  }

 private:
  template <class Finish> bool record(Reader& r, std::int64_t number, Finish finish) {
    const std::size_t span = spans.size(), event = events.size(), link = links.size(), first = more.size();
    const Byte* const from = r.p;
    now_ = ZipkinRecord();
    const bool is_read = whole(
        [&] {
          content(r);
          if (spans.size() == span) odd();
          finish();
          if (r.high && !is_utf8(from, r.p)) odd();
        },
        spans, events, links, more);
    if (is_read) {
      lines.push_back({number, from - data_, r.p - data_, static_cast<std::int64_t>(spans.size() - span)});
      records.push_back(now_);
      intern(span, event, link, first);
    }
    clear();
    return is_read;
  }

  void intern(std::size_t span, std::size_t event, std::size_t link, std::size_t first) {
    for (std::size_t i = first; i < more.size(); i++) {
      ZipkinSpan& m = more[i];
      const std::uint8_t kind = spans[span + (i - first)].kind;
      if (m.local_text.length) m.local = endpoints.code(m.local_text);
      if (m.remote_text.length) m.remote = endpoints.code(m.remote_text) * 2 + (kind == SERVER || kind == CONSUMER);
      const std::int32_t pair[] = {optional(m.scope_text), optional(m.version_text)};
      m.scope = scopes.code({reinterpret_cast<const Byte*>(pair), sizeof pair, false});
    }
    intern_rows(span, event, link);
  }

  static constexpr std::uint8_t SERVER = 2, CONSUMER = 5;

  void content(Reader& r) {
    if (r.next() == '{') {
      span(r);
      return;
    }
    each(r, [&] {
      if (r.next() == '{') span(r);
      else each(r, [&] { span(r); });
    });
  }

  void span(Reader& r) {
    enum { TRACE, PARENT, SPAN, KIND, NAME, START, LENGTH, LOCAL, REMOTE, ANNOTATIONS, TAGS, SHARES, DEBUG, BINARIES };
    static const Member names[] = {
        member("traceId"), member("parentId"), member("id"), member("kind"), member("name"), member("timestamp"),
        member("duration"), member("localEndpoint"), member("remoteEndpoint"), member("annotations"), member("tags"),
        member("shared"), member("debug"), member("binaryAnnotations")};
    Span s;
    ZipkinSpan m;
    Meaning meaning(true);
    std::int64_t length = -1;
    is_v1_ = false;
    known_.clear();
    annotations_.clear();
    binaries_.clear();
    Plain<14> number(names);
    object(r, [&](const Text& key) {
      switch (number(key)) {
        case TRACE:
          if (long_id(r.text(), s.trace_hi, s.trace_lo)) {
            now_.padded++;
            m.quality |= ID_PADDED;
          }
          break;
        case PARENT: parent(optional_text(r), s.parent_id); break;
        case SPAN: s.span_id = short_id(r.text()); break;
        case KIND: meaning.name_kind(r.null() ? 0 : kind_of(r.text())); break;
        case NAME: s.name_text = optional_text(r); break;
        case START: if (!r.null()) s.start_ns = nanoseconds(r); break;
        case LENGTH: if (!r.null()) length = nanoseconds(r); break;
        case LOCAL: m.local_text = endpoint(r).raw; break;
        case REMOTE: m.remote_text = endpoint(r).raw; break;
        case ANNOTATIONS: if (!r.null()) each(r, [&] { annotation(r); }); break;
        case BINARIES: if (!r.null()) each(r, [&] { binary(r); }); break;
        case TAGS: if (!r.null()) object(r, [&](const Text& name) { tag(r, name, meaning, s.attributes); }); break;
        case SHARES: if (!r.null() && truth(r)) m.quality |= SHARED; break;
        case DEBUG: if (!r.null() && truth(r)) odd(); break;
        default: odd();
      }
    });
    if (!number.all(1u << TRACE | 1u << SPAN)) odd();
    if (number.all(1u << BINARIES) || (is_v1_ && !number.all(1u << KIND))) {
      for (const int other : {KIND, LOCAL, REMOTE, SHARES})
        if (number.all(1u << other)) odd();  // of v2, and of no account
      if (!known_.empty()) odd();
      halves({s, m, Text(), length, -1});
      return;
    }
    const auto row = static_cast<std::int64_t>(spans.size());
    for (const ZipkinAnnotation& one : annotations_) event(one, row);
    finish(s, m, meaning, length);
  }

  // Adds a span with what its tags mean.
  void finish(Span& s, ZipkinSpan& m, const Meaning& meaning, std::int64_t length) {
    if (!s.start_ns) {
      if (length >= 0) odd();  // a length without a time becomes an attribute
      m.quality |= NO_START;
    }
    if (length < 0) m.quality |= NO_END;
    else s.end_ns = s.start_ns + length;
    s.kind = meaning.kind();
    s.status_code = meaning.status();
    s.message_text = meaning.message.length ? meaning.message : meaning.error_text;
    s.state_text = meaning.state;
    m.scope_text = meaning.scope();
    m.version_text = meaning.version();
    m.quality |= meaning.quality();
    if (meaning.error.at && meaning.message.length) {
      span_raw_.push_back(meaning.error);
      s.attributes++;
    }
    spans.push_back(s);
    more.push_back(m);
  }

  void event(const ZipkinAnnotation& one, std::int64_t row) {
    Event e;
    e.span_row = row;
    e.time_ns = one.time_ns;
    e.name_text = one.value;
    events.push_back(e);
  }

  // ------------------------------------------------------------------ v1, as in zipkin/v1.py

  static constexpr int SIDES = 4;  // CLIENT, SERVER, PRODUCER and CONSUMER

  // Adds a span of v1 as spans of v2: one, or the halves of a call.
  void halves(const ZipkinHalf& whole) {
    const ZipkinAnnotation* core[2 * SIDES] = {};  // the begin and the end of each side
    for (const ZipkinAnnotation& one : annotations_) {
      const int word = core_of(one.value);
      if (word < 0) continue;
      if (core[word]) odd();
      core[word] = &one;
    }
    std::vector<ZipkinHalf>& found = halves_;
    found.clear();
    for (int side = 0; side < SIDES; side++)
      if (core[2 * side] || core[2 * side + 1]) found.push_back(half(whole, side, core, found.empty()));
    for (int side = 0; side < SIDES - 1 && found.empty(); side++)
      if (std::any_of(binaries_.begin(), binaries_.end(), [&](const ZipkinBinary& b) { return address(b) == side; }))
        found.push_back(half(whole, side, core, true));
    if (found.empty()) found.push_back(whole);
    now_.v1++;
    if (whole.more.quality & ID_PADDED) now_.padded += static_cast<std::int64_t>(found.size()) - 1;
    for (ZipkinBinary& one : binaries_) place(one);
    const Text any = any_endpoint();
    for (std::size_t i = 0; i < found.size(); i++) {
      ZipkinHalf& h = found[i];
      if (!h.more.local_text.length) h.more.local_text = any;
      const auto row = static_cast<std::int64_t>(spans.size());
      for (const ZipkinAnnotation& one : annotations_)
        if (core_of(one.value) < 0 && home(one.endpoint) == static_cast<int>(i)) event(one, row);
      Meaning meaning(true);
      static constexpr std::uint8_t KINDS[] = {3, 2, 4, 5};
      if (h.side >= 0) meaning.name_kind(KINDS[h.side]);
      known_.clear();
      for (const ZipkinBinary& one : binaries_)
        if (one.half == static_cast<int>(i)) tag(one.tag, meaning, h.span.attributes);
      finish(h.span, h.more, meaning, h.length);
    }
  }

  // One half of a call; the times of the span belong to its first half.
  static ZipkinHalf half(const ZipkinHalf& whole, int side, const ZipkinAnnotation* const* core, bool is_first) {
    const ZipkinAnnotation *const begin = core[2 * side], *const end = core[2 * side + 1];
    ZipkinHalf h = whole;
    h.side = side;
    for (const ZipkinAnnotation* one : {end, begin}) {
      if (!one || !one->endpoint.raw.length) continue;
      h.more.local_text = one->endpoint.raw;
      h.service = one->endpoint.service;
    }
    const bool has_own = whole.span.start_ns != 0;
    if (!is_first || !has_own) h.span.start_ns = begin ? begin->time_ns : 0;
    if (!is_first || whole.length < 0) {
      h.length = begin && end ? end->time_ns - begin->time_ns : -1;
      if (begin && end && h.length < 0) odd();
    }
    if (side == 1 && !(is_first && has_own)) h.more.quality |= SHARED;
    return h;
  }

  // Finds the half of a binary annotation, and the address of the other side.
  void place(ZipkinBinary& b) {
    const int side = address(b);
    for (ZipkinHalf& h : halves_) {
      if (side < 0 || (h.side != side && !(side == 2 && h.side == 3))) continue;
      h.more.remote_text = b.endpoint.raw;
      b.half = -1;
      return;
    }
    if (!b.tag.is_text) odd();
    b.half = home(b.endpoint);
  }

  // The half of the service that wrote an annotation, by default the first.
  int home(const ZipkinEndpoint& endpoint) const {
    const Text& service = endpoint.service;
    if (halves_.size() < 2 || !service.length) return 0;
    for (std::size_t i = 0; i < halves_.size(); i++) {
      if (service.escaped || halves_[i].service.escaped) odd();
      if (same(halves_[i].service, service)) return static_cast<int>(i);
    }
    return 0;
  }

  // The side whose address of the other side a binary annotation is, -1 for none.
  static int address(const ZipkinBinary& b) {
    if (!b.endpoint.raw.length) return -1;
    const Text& key = b.tag.key;
    return key.is("sa") ? 0 : key.is("ca") ? 1 : key.is("ma") ? 2 : -1;
  }

  // The first endpoint of an annotation that is not the address of the other side.
  Text any_endpoint() const {
    for (const ZipkinAnnotation& one : annotations_)
      if (one.endpoint.raw.length) return one.endpoint.raw;
    for (const ZipkinBinary& one : binaries_)
      if (one.endpoint.raw.length && address(one) < 0) return one.endpoint.raw;
    return Text();
  }

  void binary(Reader& r) {
    enum { KEY, VALUE, ENDPOINT };
    Once once;
    ZipkinBinary b;
    const Byte *first = nullptr, *last = nullptr;  // of the key and the value
    object(r, [&](const Text& name) {
      const Byte* const from = name.at - 1;  // its quote
      if (name.is("key")) {
        once(KEY);
        b.tag.key = r.text();
        if (b.tag.key.escaped) odd();
      } else if (name.is("value")) {
        once(VALUE);
        if (r.next() == '"') {
          b.tag.value = r.text();
          b.tag.is_text = b.tag.is_string = true;
        } else {
          r.skip(5);
        }
      } else {
        if (name.is("endpoint")) {
          once(ENDPOINT);
          b.endpoint = filled_endpoint(r);
        } else {
          r.skip(5);
        }
        return;
      }
      if (!first) first = from;
      last = r.p;
    });
    if (!once.all(1u << KEY | 1u << VALUE)) odd();
    if (last - first > 0x7FFFFFFF) odd();
    b.tag.raw = {first, static_cast<std::uint32_t>(last - first), false};
    binaries_.push_back(b);
  }

  // An endpoint that says something, or none.
  static ZipkinEndpoint filled_endpoint(Reader& r) {
    const ZipkinEndpoint found = endpoint(r);
    const Text& raw = found.raw;
    const auto is_quote = [](Byte c) { return c == '"'; };
    if (raw.length && std::none_of(raw.at, raw.at + raw.length, is_quote)) odd();
    return found;
  }

  // ------------------------------------------------------------------ members

  // A parent of zeros is none.
  static void parent(const Text& text, std::uint64_t& id) {
    if (text.length) id = short_id(text.at, text.length);
  }

  void tag(Reader& r, const Text& name, Meaning& meaning, std::int32_t& count) {
    const Byte* const from = name.at - 1;  // its quote
    Tag t;
    t.key = name;
    t.value = r.text();
    t.raw = r.slice(from, false);
    t.is_text = t.is_string = true;
    tag(t, meaning, count);
  }

  void tag(const Tag& t, Meaning& meaning, std::int32_t& count) {
    const Text& name = t.key;
    if (known_.size() == MANY) odd();
    for (const Text& one : known_)
      if (same(one, name)) odd();
    known_.push_back(name);
    if (name.is("span.kind")) odd();  // beside the kind of the span
    if (meaning.take(t)) return;
    span_raw_.push_back(t.raw);
    count++;
  }

  // An endpoint with texts, and digits as its port; none for null.
  static ZipkinEndpoint endpoint(Reader& r) {
    enum { SERVICE, IPV4, IPV6, PORT };
    static const Member names[] = {member("serviceName"), member("ipv4"), member("ipv6"), member("port")};
    ZipkinEndpoint found;
    if (r.null()) return found;
    r.blank();
    const Byte* const from = r.p;
    Plain<4> number(names);
    object(r, [&](const Text& key) {
      switch (number(key)) {
        case PORT: if (!r.null()) digits_up_to(r.number(), 0xFFFF); break;
        case SERVICE: found.service = optional_text(r); break;
        case -1: odd();
        default: optional_text(r);
      }
    });
    found.raw = r.slice(from, false);
    return found;
  }

  void annotation(Reader& r) {
    enum { TIME, VALUE, ENDPOINT };
    Once once;
    ZipkinAnnotation e;
    object(r, [&](const Text& key) {
      if (key.is("timestamp")) {
        once(TIME);
        e.time_ns = nanoseconds(r);
      } else if (key.is("value")) {
        once(VALUE);
        e.value = optional_text(r);
        if (e.value.escaped && e.value.length <= LONGEST_CORE) odd();
      } else if (key.is("endpoint")) {
        once(ENDPOINT);
        e.endpoint = filled_endpoint(r);
        is_v1_ = true;
      } else {
        odd();
      }
    });
    if (!once.all(1u << TIME)) odd();
    is_v1_ = is_v1_ || core_of(e.value) >= 0;
    annotations_.push_back(e);
  }

  static constexpr std::uint32_t LONGEST_CORE = 12;  // with both letters as their numbers

  // The number of an annotation that begins or ends a side of a call, -1 for any other.
  static int core_of(const Text& value) {
    static constexpr const char* WORDS[] = {"cs", "cr", "sr", "ss", "ms", "ws", "mr", "wr"};
    for (int i = 0; value.length == 2 && i < 2 * SIDES; i++)
      if (value.at[0] == static_cast<Byte>(WORDS[i][0]) && value.at[1] == static_cast<Byte>(WORDS[i][1])) return i;
    return -1;
  }

  static bool truth(Reader& r) {
    if (r.word("true", 4)) return true;
    if (!r.word("false", 5)) odd();
    return false;
  }

  static constexpr std::size_t MANY = 64;  // tags, each of which is compared to those before

  Arena pairs_;
  const Byte* const data_;
  const Byte* const end_;
  ZipkinRecord now_;
  bool is_v1_ = false;       // as far as the annotations tell
  std::vector<ZipkinAnnotation> annotations_;  // of the present span
  std::vector<ZipkinBinary> binaries_;
  std::vector<ZipkinHalf> halves_;
  std::vector<Text> known_;  // names of the tags of the present span
};

}  // namespace tracekit
