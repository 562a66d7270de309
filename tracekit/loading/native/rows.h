// Rows of spans, events and links of some records, and the distinct strings and attributes in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "interner.h"
#include "json.h"

namespace tracekit {

struct Span {
  std::uint64_t trace_hi = 0, trace_lo = 0, span_id = 0, parent_id = 0;
  std::int64_t start_ns = 0, end_ns = 0;
  std::int64_t place = 0;  // in the input, of OTLP JSON
  Text name_text, state_text, message_text;
  std::int32_t name = -1, trace_state = -1, status_message = -1;
  std::uint32_t flags = 0, dropped_attributes = 0, dropped_events = 0, dropped_links = 0;
  std::int32_t attributes = 0;
  std::uint8_t kind = 0, status_code = 0, rounded = 0;  // rounded: 1 the start, 2 the end, 3 both
};

struct Event {
  std::int64_t span_row = 0, time_ns = 0;
  Text name_text;
  std::int32_t name = -1, attributes = 0;
  std::uint32_t dropped_attributes = 0;
  std::uint8_t rounded = 0;
};

struct Link {
  std::int64_t span_row = 0;
  std::uint64_t trace_hi = 0, trace_lo = 0, span_id = 0;
  Text state_text;
  std::int32_t trace_state = -1, attributes = 0;
  std::uint32_t flags = 0, dropped_attributes = 0;
  std::int8_t relation = 0;
};

// A record that was read, or one that is handed back.
struct Line {
  std::int64_t number = 0, start = 0, stop = 0, spans = 0;
};

inline bool is_blank(const Byte* p, const Byte* end) {
  while (p < end && (*p == ' ' || (*p >= '\t' && *p <= '\r'))) p++;
  return p == end;
}

// Where lines end, each behind its newline.
inline std::vector<std::int64_t> ends_of_lines(const Byte* data, const Byte* end) {
  std::vector<std::int64_t> ends;
  for (const Byte* p = data; p < end;) {
    const auto* stop = static_cast<const Byte*>(std::memchr(p, '\n', static_cast<std::size_t>(end - p)));
    p = stop ? stop + 1 : end;
    ends.push_back(p - data);
  }
  return ends;
}

class Rows {
 public:
  Interner names, texts;
  Table<Attribute> attributes{1 << 12};
  std::vector<Span> spans;
  std::vector<Event> events;
  std::vector<Link> links;
  std::vector<std::int32_t> span_attributes, event_attributes, link_attributes;
  std::vector<Line> lines, others;

 protected:
  // Makes room for what so many bytes usually contain.
  void expect(std::size_t size) {
    constexpr std::size_t SPAN = 800, ATTRIBUTE = 90;  // bytes
    spans.reserve(size / SPAN);
    span_attributes.reserve(size / ATTRIBUTE);
  }

  void clear() {
    span_raw_.clear();
    event_raw_.clear();
    link_raw_.clear();
  }

  // Gives codes to the strings of a record, from these rows on, when all of it is known to be good.
  void intern_rows(std::size_t span, std::size_t event, std::size_t link) {
    for (; span < spans.size(); span++) {
      Span& s = spans[span];
      s.name = names.code(s.name_text);
      s.trace_state = optional(s.state_text);
      s.status_message = optional(s.message_text);
    }
    for (; event < events.size(); event++) events[event].name = optional(events[event].name_text);
    for (; link < links.size(); link++) links[link].trace_state = optional(links[link].state_text);
    for (const Attribute& raw : span_raw_) span_attributes.push_back(attributes.code(raw));
    for (const Attribute& raw : event_raw_) event_attributes.push_back(attributes.code(raw));
    for (const Attribute& raw : link_raw_) link_attributes.push_back(attributes.code(raw));
  }

  std::int32_t optional(const Text& text) { return text.length ? texts.code(text) : -1; }

  std::vector<Attribute> span_raw_, event_raw_, link_raw_;  // attributes of the present record, as they are written
};

}  // namespace tracekit
