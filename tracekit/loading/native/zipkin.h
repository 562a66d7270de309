// Reads spans of Zipkin v2, alone, in lists and in lists of lists, to rows.  Tags, endpoints and names become codes of
// the distinct ones in these bytes, which Python decodes; a record with anything unexpected, such as a span of v1, adds
// nothing and is handed back.
#pragma once

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
};

class ZipkinScan : public Rows {
 public:
  ZipkinScan(const Byte* data, std::size_t size) : data_(data), end_(data + size) {}

  Interner endpoints{64}, scopes{64, &pairs_};  // scopes: pairs of codes of texts, the name and the version
  std::vector<ZipkinSpan> more;
  std::vector<ZipkinRecord> records;
  std::vector<std::int64_t> places;  // where each of the items begins and ends

  // Reads the records that end at these places; the first begins the data.
  void run(const std::vector<std::int64_t>& ends) {
    std::int64_t start = 0;
    for (std::size_t number = 0; number < ends.size(); number++) {
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

  // Reads the records of lines, one a line.
  void run_lines() { run(ends_of_lines(data_, end_)); }

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
    enum { TRACE, PARENT, SPAN, KIND, NAME, START, LENGTH, LOCAL, REMOTE, ANNOTATIONS, TAGS, SHARES, DEBUG };
    static const Member names[] = {
        member("traceId"), member("parentId"), member("id"), member("kind"), member("name"), member("timestamp"),
        member("duration"), member("localEndpoint"), member("remoteEndpoint"), member("annotations"), member("tags"),
        member("shared"), member("debug")};
    const auto row = static_cast<std::int64_t>(spans.size());
    Span s;
    ZipkinSpan m;
    Meaning meaning(true);
    std::int64_t length = -1;
    is_v1_ = false;
    known_.clear();
    Plain<13> number(names);
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
        case LOCAL: m.local_text = endpoint(r); break;
        case REMOTE: m.remote_text = endpoint(r); break;
        case ANNOTATIONS: if (!r.null()) each(r, [&] { annotation(r, row); }); break;
        case TAGS: if (!r.null()) object(r, [&](const Text& name) { tag(r, name, meaning, s.attributes); }); break;
        case SHARES: if (!r.null() && truth(r)) m.quality |= SHARED; break;
        case DEBUG: if (!r.null() && truth(r)) odd(); break;
        default: odd();
      }
    });
    if (!number.all(1u << TRACE | 1u << SPAN)) odd();
    if (is_v1_ && !number.all(1u << KIND)) odd();
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
  static Text endpoint(Reader& r) {
    enum { SERVICE, IPV4, IPV6, PORT };
    static const Member names[] = {member("serviceName"), member("ipv4"), member("ipv6"), member("port")};
    if (r.null()) return Text();
    r.blank();
    const Byte* const from = r.p;
    Plain<4> number(names);
    object(r, [&](const Text& key) {
      switch (number(key)) {
        case PORT: if (!r.null()) digits_up_to(r.number(), 0xFFFF); break;
        case -1: odd();
        default: optional_text(r);
      }
    });
    return r.slice(from, false);
  }

  void annotation(Reader& r, std::int64_t row) {
    enum { TIME, VALUE };
    Once once;
    Event e;
    e.span_row = row;
    object(r, [&](const Text& key) {
      if (key.is("timestamp")) {
        once(TIME);
        e.time_ns = nanoseconds(r);
      } else if (key.is("value")) {
        once(VALUE);
        e.name_text = optional_text(r);
      } else {
        odd();
      }
    });
    if (!once.all(1u << TIME)) odd();
    const Text& value = e.name_text;
    is_v1_ = is_v1_ || value.escaped || is_core(value);
    events.push_back(e);
  }

  // Whether an annotation may be one of v1, as in zipkin/v1.py.
  static bool is_core(const Text& value) {
    for (const auto& word : {"cs", "cr", "sr", "ss", "ms", "ws", "mr", "wr"})
      if (value.is(word, 2)) return true;
    return false;
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
  std::vector<Text> known_;  // names of the tags of the present span
};

}  // namespace tracekit
