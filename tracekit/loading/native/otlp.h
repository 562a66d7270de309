// Reads lines of OTLP JSON, and the items of lists in documents, to rows.  Strings, attributes, resources and scopes become codes of the distinct ones in these
// bytes, which Python decodes; a line with anything unexpected adds nothing and is handed back.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "interner.h"
#include "json.h"
#include "members.h"
#include "order.h"
#include "recent.h"
#include "rows.h"
#include "shapes.h"

namespace tracekit {

// A ScopeSpans, or a ResourceSpans without any: then its scope is -1.
struct Group {
  Text resource_text, resource_url_text, scope_text, scope_url_text;
  std::int32_t resource = -1, scope = -1;
  std::int64_t line = 0, spans = 0;
  bool has_resource = true, has_scope = false, is_first = false;  // is_first: of its ResourceSpans
};

// How often a spelling other than the specification's was read.
struct Dialects {
  std::int64_t snake_case = 0, enum_names = 0, base64_ids = 0, base64_of_hex_ids = 0, legacy = 0, resource_spans = 0, batches = 0;
  std::int64_t trace = 0, result = 0;  // objects around a request
  std::int64_t flat_spans = 0, attribute_maps = 0;
  std::int64_t span_documents = 0, searches = 0;  // of OpenSearch
  std::int64_t unknown_fields = 0;     // of protobuf

  void add(const Dialects& more) {
    snake_case += more.snake_case;
    enum_names += more.enum_names;
    base64_ids += more.base64_ids;
    base64_of_hex_ids += more.base64_of_hex_ids;
    legacy += more.legacy;
    resource_spans += more.resource_spans;
    batches += more.batches;
    trace += more.trace;
    result += more.result;
    flat_spans += more.flat_spans;
    attribute_maps += more.attribute_maps;
    span_documents += more.span_documents;
    searches += more.searches;
    unknown_fields += more.unknown_fields;
  }
};

// What the items of a list are; otlp/compiled.py has the same numbers.
enum class Items { REQUESTS, GROUPS, SPANS, DOCUMENTS };

class Scan : public Rows {
 public:
  Scan(const Byte* data, std::size_t size, std::vector<std::int64_t> excluded)
      : data_(data), end_(data + size), excluded_(std::move(excluded)) {
    expect(size);
  }

  Interner resources{64, &pairs_}, scopes{64, &pairs_};  // each a pair of codes of texts: its JSON and its schema URL
  std::vector<Group> groups;
  Dialects dialects;
  Shapes shapes;
  Interner owner_texts{64};  // JSON of resources and scopes, and schema URLs
  bool is_cut = false;       // whether items were read up to one that the data may end in

  void run() {
    each_line([&](const Byte* from, std::int64_t number) { return line(from, number); });
  }

  // Reads the items of a list, or documents one after the other, at most so many, up to one that is cut off or odd.
  void run_items(Items items, std::int64_t most) {
    each_item(items, most, [&](Reader& r) { item(r, items); });
  }

 protected:
  static constexpr std::ptrdiff_t LONGEST_WORD = 16;  // bytes that the reader takes at once, or not at all

  // ``read`` returns the end of a line that was read, null for one that is handed back.
  template <class Read> void each_line(Read read) {
    auto excluded = excluded_.begin();
    std::int64_t number = 0;
    for (const Byte* p = data_; p < end_; number++) {
      const bool is_excluded = excluded != excluded_.end() && *excluded == number;
      if (is_excluded) ++excluded;
      const Byte* behind = is_excluded ? nullptr : read(p, number);
      if (!behind) {
        behind = static_cast<const Byte*>(std::memchr(p, '\n', static_cast<std::size_t>(end_ - p)));
        if (!behind) behind = end_;
        if (!is_blank(p, behind)) others.push_back({number, p - data_, behind - data_, 0});
      }
      p = behind + 1;
    }
  }

  template <class Read> void each_item(Items items, std::int64_t most, Read read) {
    Reader r(data_, end_, false);
    for (std::int64_t number = 0; number < most; number++) {
      if (number && items != Items::DOCUMENTS && !r.is(',')) return;
      r.blank();
      if (r.p >= end_ || *r.p != '{') return;
      Reader inner(r.p, end_, false);
      const Byte* const behind = record(r.p, number, [&] {
        read(inner);
        if (inner.high && !is_utf8(r.p, inner.p)) odd();
        return inner.p;
      });
      if (!behind) {
        is_cut = end_ - inner.p < LONGEST_WORD;
        return;
      }
      r.p = behind;
    }
  }

  void item(Reader& r, Items items) {
    switch (items) {
      case Items::REQUESTS:
      case Items::DOCUMENTS: request(r); break;
      case Items::GROUPS: resource_spans(r); break;
      case Items::SPANS:
        groups.emplace_back();
        groups.back().line = line_;
        groups.back().spans = 1;
        groups.back().has_resource = false;
        span(r);
    }
  }

  // Returns the end of a line that was read, null for one that is handed back.
  const Byte* line(const Byte* from, std::int64_t number) {
    if (!may_begin(from)) return nullptr;
    return whole_line(from, number, [&](Reader& r) { request(r); });
  }

  // Reads what a line consists of; likewise.
  template <class Read> const Byte* whole_line(const Byte* from, std::int64_t number, Read read) {
    return record(from, number, [&] {
      Reader r(from, end_, true);
      read(r);
      r.blank();
      if (r.p < end_ && *r.p != '\n') odd();
      if (r.high && !is_utf8(from, r.p)) odd();
      return r.p;
    });
  }

  // Whether a line may be a record, told without an exception: files of other formats have only lines that are none.
  bool may_begin(const Byte* p) const {
    while (p < end_ && *p <= ' ' && *p != '\n') p++;
    if (p == end_ || *p++ != '{') return false;
    if (end_ - p < 3 || *p++ != '"') return true;
    for (const Member& name : REQUEST_NAMES)
      if (begins(p, end_, name)) return true;
    if (!may_begin_span(p)) return false;
    static constexpr Member SPAN_IDS[] = {member("spanId\""), member("span_id\"")};
    const auto* stop = static_cast<const Byte*>(std::memchr(p, '\n', static_cast<std::size_t>(end_ - p)));
    if (!stop) stop = end_;
    for (; p; p = static_cast<const Byte*>(std::memchr(p, '"', static_cast<std::size_t>(stop - p)))) {
      p += *p == '"';
      if (begins(p, stop, SPAN_IDS[0]) || begins(p, stop, SPAN_IDS[1])) return true;
    }
    return false;
  }

  // Whether a span may have this name as its first: one of its members, or one with an underscore.
  bool may_begin_span(const Byte* p) const {
    constexpr std::ptrdiff_t LONGEST = 64;
    const Byte* const from = p;
    while (p < end_ && *p != '"' && *p != '_' && p - from < LONGEST) p++;
    if (p == end_ || *p != '"') return true;
    for (const Member& name : SPAN_NAMES)
      if (p - from == static_cast<std::ptrdiff_t>(name.length) && !std::memcmp(from, name.name, name.length)) return true;
    return false;
  }

  static constexpr Member REQUEST_NAMES[] = {member("resourceSpans\""), member("resource_spans\""),
                                             member("batches\""), member("trace\""), member("result\"")};

  static bool begins(const Byte* p, const Byte* end, const Member& name) {
    return end - p >= static_cast<std::ptrdiff_t>(name.length) && !std::memcmp(p, name.name, name.length);
  }

  // Adds a record with all that is in it, or nothing: then it returns null.
  template <class Read> const Byte* record(const Byte* from, std::int64_t number, Read read) {
    const std::size_t span = spans.size(), event = events.size(), link = links.size(), group = groups.size();
    line_dialects_ = Dialects();
    line_ = static_cast<std::int64_t>(lines.size());
    const Byte* behind = nullptr;
    if (whole([&] { behind = read(); }, spans, events, links, groups)) {
      lines.push_back({number, from - data_, behind - data_, static_cast<std::int64_t>(spans.size() - span)});
      intern(span, event, link, group);
    } else {
      behind = nullptr;
    }
    clear();
    return behind;
  }

  // Gives codes to the strings of a line, when all of it is known to be good.
  void intern(std::size_t span, std::size_t event, std::size_t link, std::size_t group) {
    dialects.add(line_dialects_);
    for (; group < groups.size(); group++) {
      Group& g = groups[group];
      if (g.has_resource) g.resource = owner(resources, latest_resources_, g.resource_text, g.resource_url_text);
      if (g.has_scope) g.scope = owner(scopes, latest_scopes_, g.scope_text, g.scope_url_text);
    }
    intern_rows(span, event, link);
  }

  // Where the texts of a resource or scope are, and its code; many texts are those of one before, in one place.
  struct Latest {
    const Byte *text = nullptr, *url = nullptr;
    std::uint32_t length = 0, url_length = 0;
    std::int32_t code = -1;
  };
  using Owners = std::array<Latest, 64>;

  std::int32_t owner(Interner& owners, Owners& latest, const Text& text, const Text& url) {
    Latest& known = latest[reinterpret_cast<std::uintptr_t>(text.at) / 8 % latest.size()];
    const bool is_same = known.text == text.at && known.url == url.at && known.length == text.length && known.url_length == url.length;
    if (!is_same || known.code < 0) {
      const std::int32_t pair[] = {owner_texts.code(text), owner_texts.code(url)};
      known = {text.at, url.at, text.length, url.length, owners.code({reinterpret_cast<const Byte*>(pair), sizeof pair, false})};
    }
    return known.code;
  }

  // ------------------------------------------------------------------ messages, from the outside in

  // A request, an answer of a server around one, or a span with its resource and scope.
  void request(Reader& r) {
    r.blank();
    const Byte* const from = r.p;
    r.want('{');
    const Text key = r.key();
    if (key.is("trace")) {
      line_dialects_.trace++;
      bare_request(r);
      rest_of_answer(r);
    } else if (key.is("result")) {
      line_dialects_.result++;
      bare_request(r);
      r.want('}');
    } else if (list_of_groups(r, key)) {
      r.want('}');
    } else {
      r.p = from;
      flat_span(r);
    }
  }

  void bare_request(Reader& r) {
    r.want('{');
    r.base = 1;
    if (!list_of_groups(r, r.key())) odd();
    r.base = 0;
    r.want('}');
  }

  // Returns whether a member is a list of ResourceSpans, and reads it.
  bool list_of_groups(Reader& r, const Text& key) {
    if (key.is("resource_spans")) {
      line_dialects_.resource_spans++;
    } else if (key.is("batches")) {
      line_dialects_.batches++;
    } else if (!key.is("resourceSpans")) {
      return false;
    }
    each(r, [&] { resource_spans(r); });
    return true;
  }

  // What a server says behind a trace; that it is not the whole trace is odd.
  static void rest_of_answer(Reader& r) {
    enum { METRICS, MESSAGE, STATUS };
    Once once;
    while (r.is(',')) {
      const Text key = r.key();
      if (key.is("metrics")) {
        once(METRICS);
        r.skip(1);
      } else if (key.is("message")) {
        once(MESSAGE);
        r.skip(1);
      } else if (key.is("status")) {
        once(STATUS);
        if (!r.null() && !r.text().is("COMPLETE")) odd();
      } else {
        odd();
      }
    }
    r.want('}');
  }

  void resource_spans(Reader& r) {
    const std::size_t first = groups.size();
    Text resource, url;
    enum { RESOURCE, URL, SCOPES };
    Once once;
    object(r, [&](const Text& key) {
      if (key.is("resource")) {
        once(RESOURCE);
        resource = known_resource(r, 3);
      } else if (key.is("schemaUrl") || key.is("schema_url")) {
        once(URL);
        url = optional_text(r);
      } else if (const int spelling = scope_spans_name(key)) {
        once(SCOPES);
        if (r.null()) return;
        line_dialects_.legacy += spelling == 2;
        each(r, [&] { scope_spans(r); });
      } else {
        unknown(r, key, 3);
      }
    });
    if (groups.size() == first) {
      groups.emplace_back();
      groups.back().line = line_;
    }
    groups[first].is_first = true;
    for (std::size_t i = first; i < groups.size(); i++) {
      groups[i].resource_text = resource;
      groups[i].resource_url_text = url;
    }
  }

  // A resource as it is written; one that was read before is compared, as an object ends where it ended then.
  Text known_resource(Reader& r, int depth) {
    r.blank();
    const Text known = r.base ? Text() : recent_.find(r.p, r.end);
    if (known.at) {
      r.p += known.length;
      return known;
    }
    const Text fresh = r.raw(depth);
    if (!r.base && *fresh.at == '{') recent_.add(fresh);
    return fresh;
  }

  // 1 for the name of the specification, 2 for one of its predecessors.
  static int scope_spans_name(const Text& key) {
    if (key.is("scopeSpans") || key.is("scope_spans")) return 1;
    const bool old = key.is("instrumentationLibrarySpans") || key.is("instrumentation_library_spans") ||
                     key.is("ilSpans") || key.is("deprecatedScopeSpans");
    return old ? 2 : 0;
  }

  void scope_spans(Reader& r) {
    Group group;
    group.line = line_;
    group.has_scope = true;
    const std::size_t first = spans.size();
    enum { SCOPE, URL, SPANS };
    Once once;
    object(r, [&](const Text& key) {
      if (key.is("spans")) {
        once(SPANS);
        if (!r.null()) each(r, [&] { span(r); });
      } else if (key.is("scope") || key.is("instrumentationLibrary") || key.is("instrumentation_library")) {
        once(SCOPE);
        group.scope_text = r.raw(5);
      } else if (key.is("schemaUrl") || key.is("schema_url")) {
        once(URL);
        group.scope_url_text = optional_text(r);
      } else {
        unknown(r, key, 5);
      }
    });
    group.spans = static_cast<std::int64_t>(spans.size() - first);
    groups.push_back(group);
  }

  enum { TRACE, SPAN, STATE, PARENT, FLAGS, NAME, KIND, START, END, ATTRIBUTES, DROPPED, EVENTS, DROPPED_EVENTS, LINKS,
         DROPPED_LINKS, STATUS, RESOURCE, SCOPE, DURATION, URL };
  static constexpr std::size_t OF_SPAN = 16, OF_FLAT_SPAN = 20;
  static constexpr Member SPAN_NAMES[] = {
      member("traceId"), member("spanId"), member("traceState"), member("parentSpanId"), member("flags"),
      member("name"), member("kind"), member("startTimeUnixNano"), member("endTimeUnixNano"), member("attributes"),
      member("droppedAttributesCount"), member("events"), member("droppedEventsCount"), member("links"),
      member("droppedLinksCount"), member("status"), member("resource"), member("scope"), member("durationNano"),
      member("schemaUrl")};

  void span(Reader& r) {
    Members<OF_SPAN, OF_FLAT_SPAN> number(SPAN_NAMES);
    read_span(r, number, span_order_, [&](int, const Text&, Span&) { r.skip(7); });
  }

  // A span as in the log group aws/spans; its end is not missing, and it has no other members.
  void flat_span(Reader& r) {
    Members<OF_FLAT_SPAN, OF_FLAT_SPAN> number(SPAN_NAMES);
    Group group;
    group.line = line_;
    group.spans = 1;
    group.has_scope = group.is_first = true;
    bool is_known = false;
    read_span(r, number, flat_order_, [&](int found, const Text& key, Span&) {
      switch (found) {
        case RESOURCE: group.resource_text = r.raw(7); break;
        case SCOPE: group.scope_text = r.raw(7); break;
        case URL: group.resource_url_text = optional_text(r); break;
        case DURATION:
          is_known |= key.is("durationNano");
          r.skip(7);
          break;
        case TRACE: exactly(key, "traceId", "trace_id"); break;
        case SPAN: exactly(key, "spanId", "span_id"); break;
        case START: is_known |= key.is("startTimeUnixNano") || key.is("start_time_unix_nano"); break;
        case END: is_known |= key.is("endTimeUnixNano"); break;
        default: odd();
      }
    });
    if (!is_known || (number.all(1u << DURATION) && !spans.back().end_ns)) odd();
    line_dialects_.flat_spans++;
    groups.push_back(group);
  }

  // What a span without an envelope is recognised by has one of the two spellings of the specification.
  template <std::size_t N, std::size_t M> static void exactly(const Text& key, const char (&camel)[N], const char (&snake)[M]) {
    if (!key.is(camel) && !key.is(snake)) odd();
  }

  // Reads a span; ``more`` reads the members that are not of every span, and gets the names of its ids and times.
  template <class Number, class Order, class More> void read_span(Reader& r, Number& number, Order& order, More more) {
    const auto row = static_cast<std::int64_t>(spans.size());
    Span s;
    r.blank();
    s.place = r.p - data_;
    order.object(r, number, [&](int found, const Text& key) {
      switch (found) {
        case TRACE:
          spelled(trace_id(r, s.trace_hi, s.trace_lo));
          if (Number::COUNT > OF_SPAN) more(found, key, s);
          break;
        case SPAN:
          spelled(span_id(r, s.span_id));
          if (Number::COUNT > OF_SPAN) more(found, key, s);
          break;
        case STATE: s.state_text = optional_text(r); break;
        case PARENT: parent_id(r, s.parent_id); break;
        case FLAGS: s.flags = unsigned32(r); break;
        case NAME: s.name_text = optional_text(r); break;
        case KIND: s.kind = kind(r); break;
        case START:
          s.start_ns = time(r, s.rounded, 1);
          if (Number::COUNT > OF_SPAN) more(found, key, s);
          break;
        case END:
          s.end_ns = time(r, s.rounded, 2);
          if (Number::COUNT > OF_SPAN) more(found, key, s);
          break;
        case ATTRIBUTES: s.attributes = attribute_list(r, span_raw_, 7); break;
        case DROPPED: s.dropped_attributes = unsigned32(r); break;
        case EVENTS: if (!r.null()) each(r, [&] { event(r, row); }); break;
        case DROPPED_EVENTS: s.dropped_events = unsigned32(r); break;
        case LINKS: if (!r.null()) each(r, [&] { link(r, row); }); break;
        case DROPPED_LINKS: s.dropped_links = unsigned32(r); break;
        case STATUS: if (!r.null()) status(r, s); break;
        default: more(found, key, s);
      }
    });
    line_dialects_.snake_case += number.snake;
    if (!(s.trace_hi | s.trace_lo) || !s.span_id) odd();
    spans.push_back(s);
  }

  void status(Reader& r, Span& s) {
    static const Member names[] = {member("code"), member("message")};
    Members<2> number(names);
    object(r, [&](const Text& key) {
      switch (number(key)) {
        case 0: s.status_code = status_code(r); break;
        case 1: s.message_text = optional_text(r); break;
        default: r.skip(8);
      }
    });
    line_dialects_.snake_case += number.snake;
  }

  void event(Reader& r, std::int64_t row) {
    event(r, row, [&](const Text&, Event&) { r.skip(9); });
  }

  // ``more`` reads the members that OTLP does not have.
  template <class More> void event(Reader& r, std::int64_t row, More more) {
    static const Member names[] = {member("timeUnixNano"), member("name"), member("attributes"),
                                   member("droppedAttributesCount")};
    Members<4> number(names);
    Event e;
    e.span_row = row;
    event_order_.object(r, number, [&](int found, const Text& name) {
      switch (found) {
        case 0: e.time_ns = time(r, e.rounded, 1); break;
        case 1: e.name_text = optional_text(r); break;
        case 2: e.attributes = attribute_list(r, event_raw_, 9); break;
        case 3: e.dropped_attributes = unsigned32(r); break;
        default: more(name, e);
      }
    });
    line_dialects_.snake_case += number.snake;
    events.push_back(e);
  }

  void link(Reader& r, std::int64_t row) {
    static const Member names[] = {member("traceId"), member("spanId"), member("traceState"),
                                   member("attributes"), member("droppedAttributesCount"), member("flags")};
    Members<6> number(names);
    Link k;
    k.span_row = row;
    link_order_.object(r, number, [&](int found, const Text&) {
      switch (found) {
        case 0: trace_id(r, k.trace_hi, k.trace_lo); break;
        case 1: span_id(r, k.span_id); break;
        case 2: k.state_text = optional_text(r); break;
        case 3: k.attributes = attribute_list(r, link_raw_, 9); break;
        case 4: k.dropped_attributes = unsigned32(r); break;
        case 5: k.flags = unsigned32(r); break;
        default: r.skip(9);
      }
    });
    line_dialects_.snake_case += number.snake;
    if (!(k.trace_hi | k.trace_lo) || !k.span_id) odd();
    links.push_back(k);
  }

  // ------------------------------------------------------------------ values

  // Passes over a member that the specification does not have; Go writes the names of structs, in capitals.
  static void unknown(Reader& r, const Text& key, int depth) {
    if (key.length && (key.at[0] >= 0x80 || (key.at[0] >= 'A' && key.at[0] <= 'Z'))) odd();
    r.skip(depth);
  }

  static std::uint64_t digits(const Text& text) {
    if (!text.length || text.length > 19) odd();
    std::uint64_t value = 0;
    const Byte *p = text.at, *const end = p + text.length;
    std::uint64_t wrong = 0;
    for (; end - p >= 8; p += 8) value = value * 100'000'000 + eight_digits(p, wrong);
    if (wrong) odd();
    for (; p < end; p++) {
      if (!is_digit(*p)) odd();
      value = value * 10 + static_cast<unsigned>(*p - '0');
    }
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) odd();
    return value;
  }

  static std::uint32_t unsigned32(Reader& r) {
    if (r.end - r.p >= 2 && is_digit(*r.p) && (r.p[1] == ',' || r.p[1] == '}')) return *r.p++ - static_cast<unsigned>('0');
    if (r.null()) return 0;
    const std::uint64_t value = digits(r.number());
    if (value > 0xFFFFFFFFu) odd();
    return static_cast<std::uint32_t>(value);
  }

  // Nanoseconds as digits; a JSON number beyond 2^53 was rounded by its writer, which ``rounded`` then says.
  static std::int64_t time(Reader& r, std::uint8_t& rounded, std::uint8_t bit) {
    constexpr int USUAL = 19;  // digits, from 2001 on
    if (const Byte* const p = quoted(r, USUAL)) {
      std::uint64_t wrong = 0, value = eight_digits(p, wrong) * 100'000'000 + eight_digits(p + 8, wrong);
      for (int i = 16; i < USUAL; i++) {
        wrong |= !is_digit(p[i]);
        value = value * 10 + static_cast<unsigned>(p[i] - '0');
      }
      if (!wrong && value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        r.p += USUAL + 2;
        return static_cast<std::int64_t>(value);
      }
    }
    if (r.null()) return 0;
    if (r.next() == '"') {
      const Text text = r.text();
      return text.length ? static_cast<std::int64_t>(digits(text)) : 0;
    }
    const std::uint64_t value = digits(r.number());
    if (value > std::uint64_t{1} << 53) rounded |= bit;
    return static_cast<std::int64_t>(value);
  }

  std::uint8_t kind(Reader& r) {
    static const Member names[] = {member("UNSPECIFIED"), member("INTERNAL"), member("SERVER"),
                                   member("CLIENT"), member("PRODUCER"), member("CONSUMER")};
    return enumeration(r, names, member("SPAN_KIND_"));
  }

  std::uint8_t status_code(Reader& r) {
    static const Member names[] = {member("UNSET"), member("OK"), member("ERROR")};
    return enumeration(r, names, member("STATUS_CODE_"));
  }

  template <std::size_t N> std::uint8_t enumeration(Reader& r, const Member (&names)[N], const Member& prefix) {
    if (r.null()) return 0;
    if (r.next() != '"') {
      const std::uint64_t value = digits(r.number());
      if (value >= N) odd();
      return static_cast<std::uint8_t>(value);
    }
    Text text = r.text();
    if (text.length >= prefix.length && !std::memcmp(text.at, prefix.name, prefix.length)) {
      text.at += prefix.length;
      text.length -= prefix.length;
    }
    for (std::size_t i = 0; i < N; i++) {
      if (text.is(names[i].name, names[i].length)) {
        line_dialects_.enum_names++;
        return static_cast<std::uint8_t>(i);
      }
    }
    odd();
  }

  static unsigned sextet(Byte c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26u;
    if (is_digit(c)) return c - '0' + 52u;
    if (c == '+') return 62;
    if (c == '/') return 63;
    odd();
  }

  // Base64 of this many bytes, with its padding.
  static void base64(const Byte* p, int bytes, Byte* out) {
    unsigned kept = 0;
    int bits = 0;
    for (int i = 0; i < bytes; i++) {
      while (bits < 8) {
        kept = kept << 6 | sextet(*p++);
        bits += 6;
      }
      bits -= 8;
      out[i] = static_cast<Byte>(kept >> bits & 0xFF);
    }
    for (int i = bytes; i % 3; i++)
      if (*p++ != '=') odd();
  }

  // The number of eight bytes, the highest first.
  static std::uint64_t big_endian(const Byte* p) {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | p[i];
    return value;
  }

  enum class Id { HEX, BASE64, BASE64_OF_HEX };

  // Counts the ids of a span that are not hexadecimal.
  void spelled(Id id) {
    line_dialects_.base64_ids += id == Id::BASE64;
    line_dialects_.base64_of_hex_ids += id == Id::BASE64_OF_HEX;
  }

  // The place of a string of this length if the next value may be one: a quote is where its end would be.
  static const Byte* quoted(const Reader& r, std::ptrdiff_t length) {
    return r.end - r.p >= length + 2 && *r.p == '"' && r.p[length + 1] == '"' ? r.p + 1 : nullptr;
  }

  static Id trace_id(Reader& r, std::uint64_t& hi, std::uint64_t& lo) {
    if (const Byte* const id = quoted(r, 32)) {
      std::uint64_t wrong = 0;
      hi = hex(id, wrong);
      lo = hex(id + 16, wrong);
      if (!wrong) {
        r.p += 34;
        return Id::HEX;
      }
    }
    const Text text = r.text();
    Byte bytes[32];
    switch (text.length) {
      case 32:
        hi = hex(text.at);
        lo = hex(text.at + 16);
        return Id::HEX;
      case 24:
        base64(text.at, 16, bytes);
        hi = big_endian(bytes);
        lo = big_endian(bytes + 8);
        return Id::BASE64;
      case 44:
        base64(text.at, 32, bytes);
        hi = hex(bytes);
        lo = hex(bytes + 16);
        return Id::BASE64_OF_HEX;
      default: odd();
    }
  }

  // Reads 16 hex digits; false, and nothing is read, if the next value is another.
  static bool hex_id(Reader& r, std::uint64_t& id) {
    const Byte* const digits = quoted(r, 16);
    std::uint64_t wrong = 0;
    const std::uint64_t value = digits ? hex(digits, wrong) : 0;
    if (!digits || wrong) return false;
    id = value;
    r.p += 18;
    return true;
  }

  static Id span_id(Reader& r, std::uint64_t& id) { return hex_id(r, id) ? Id::HEX : span_id(r.text(), id); }

  static Id span_id(const Text& text, std::uint64_t& id) {
    Byte bytes[16];
    switch (text.length) {
      case 16: id = hex(text.at); return Id::HEX;
      case 12:
        base64(text.at, 8, bytes);
        id = big_endian(bytes);
        return Id::BASE64;
      case 24:
        base64(text.at, 16, bytes);
        id = hex(bytes);
        return Id::BASE64_OF_HEX;
      default: odd();
    }
  }

  static void parent_id(Reader& r, std::uint64_t& id) {
    if (hex_id(r, id)) return;
    const Text text = optional_text(r);
    if (text.length) span_id(text, id);
  }

  // ------------------------------------------------------------------ attributes, as they are written

  std::int32_t attribute_list(Reader& r, std::vector<Attribute>& out, int depth) {
    std::int32_t count = 0;
    if (r.null()) return count;
    if (r.next() == '{') return attribute_map(r, out, depth);
    std::size_t filled = 0;
    const auto empty = [&] {
      out.insert(out.end(), some_.begin(), some_.begin() + static_cast<std::ptrdiff_t>(filled));
      filled = 0;
    };
    each(r, [&] {
      if (r.next() != '{') odd();
      some_[filled++] = shapes.take(r, depth + 1);
      if (filled == some_.size()) empty();
      count++;
    });
    empty();
    return count;
  }

  // Attributes as members of an object; of two with one name Python takes the last.
  std::int32_t attribute_map(Reader& r, std::vector<Attribute>& out, int depth) {
    const std::size_t first = out.size();
    keys_.clear();
    line_dialects_.attribute_maps++;
    r.want('{');
    if (r.is('}')) return 0;
    do {
      r.blank();
      const Byte* const from = r.p;
      const Text key = r.key();
      for (const Text& known : keys_)
        if (same(known, key)) odd();
      if (keys_.size() == MOST_KEYS) odd();
      keys_.push_back(key);
      r.blank();
      if (r.p < r.end && *r.p == '"') {
        r.text();
      } else {
        r.skip(depth + 1);
      }
      out.push_back(r.slice(from, false));
    } while (r.is(','));
    r.want('}');
    return static_cast<std::int32_t>(out.size() - first);
  }

  static constexpr std::size_t MOST_KEYS = 128;  // compared pair by pair

  Order<OF_SPAN> span_order_;
  Order<OF_FLAT_SPAN> flat_order_;
  Order<4> event_order_;
  Order<6> link_order_;
  Recent recent_;  // resources
  Owners latest_resources_, latest_scopes_;
  Arena pairs_;
  const Byte* const data_;
  const Byte* const end_;
  const std::vector<std::int64_t> excluded_;
  Dialects line_dialects_;
  std::vector<Text> keys_;           // of the present attributes
  std::array<Attribute, 32> some_;  // of them, which is faster than one by one
  std::int64_t line_ = 0;
};

}  // namespace tracekit
