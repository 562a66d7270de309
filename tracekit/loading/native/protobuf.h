// Reads ResourceSpans of OTLP protobuf to the rows of otlp.h.  A ResourceSpans with anything that the Python lane would
// have to report or to repair adds nothing and is handed back; fields that OTLP does not have are counted.
#pragma once

#include "otlp.h"
#include "wire.h"

namespace tracekit {

// Where the run of whole fields 1 of some length ends that begins at a place, and how many they are.
struct Run {
  const Byte* stop;
  std::int64_t count;
};

inline Run run_of_groups(const Byte* from, const Byte* end) {
  Run run{from, 0};
  try {
    for (Wire request(from, end); request.next() && request.is(1, Wire::LENGTH); run.count++) run.stop = request.p;
  } catch (const Odd&) {
    // the next field is cut or damaged: Python reads or reports it
  }
  return run;
}

class ProtobufScan : public Scan {
 public:
  using Scan::Scan;

  void run() {
    auto excluded = excluded_.begin();
    std::int64_t number = 0;
    for (Wire request(data_, end_); request.p < end_; number++) {
      const Byte* const from = request.p;
      request.next();
      const bool is_excluded = excluded != excluded_.end() && *excluded == number;
      if (is_excluded) ++excluded;
      const Text message = request.text;
      const Byte* const behind = request.p;
      const bool is_read = !is_excluded && request.is(1, Wire::LENGTH) && record(from, number, [&] {
        resource_spans(message);
        return behind;
      });
      if (!is_read) others.push_back({number, from - data_, behind - data_, 0});
    }
  }

 private:
  void unknown() { line_dialects_.unknown_fields++; }

  void resource_spans(const Text& raw) {
    const std::size_t first = groups.size();
    Text resource, url;
    Once once;
    for (Wire message(raw); message.next();) {
      if (message.is(2, Wire::LENGTH)) {
        scope_spans(message.text);
      } else if (message.is(1, Wire::LENGTH)) {
        once(1);
        resource = message.text;
      } else if (message.is(3, Wire::LENGTH)) {
        once(3);
        url = string(message);
      } else {
        unknown();
      }
    }
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

  void scope_spans(const Text& raw) {
    Group group;
    group.line = line_;
    group.has_scope = true;
    const std::size_t first = spans.size();
    Once once;
    for (Wire message(raw); message.next();) {
      if (message.is(2, Wire::LENGTH)) {
        span(message.text);
      } else if (message.is(1, Wire::LENGTH)) {
        once(1);
        group.scope_text = message.text;
      } else if (message.is(3, Wire::LENGTH)) {
        once(3);
        group.scope_url_text = string(message);
      } else {
        unknown();
      }
    }
    group.spans = static_cast<std::int64_t>(spans.size() - first);
    groups.push_back(group);
  }

  void span(const Text& raw) {
    const auto row = static_cast<std::int64_t>(spans.size());
    Span s;
    Once once;
    for (Wire message(raw); message.next();) {
      const bool is_list = message.number == 9 || message.number == 11 || message.number == 13;
      if (message.number > 16 || message.type != SPAN_TYPES[message.number]) {
        unknown();
        continue;
      }
      if (!is_list) once(message.number);
      switch (message.number) {
        case 1: trace_id(message.text, s.trace_hi, s.trace_lo); break;
        case 2: s.span_id = id(message.text); break;
        case 3: s.state_text = string(message); break;
        case 4: s.parent_id = message.text.length ? id(message.text) : 0; break;
        case 5: s.name_text = string(message); break;
        case 6: s.kind = enumeration(message.value, 6); break;
        case 7: s.start_ns = time(message.value); break;
        case 8: s.end_ns = time(message.value); break;
        case 9:
          span_raw_.push_back(message.text);
          s.attributes++;
          break;
        case 10: s.dropped_attributes = static_cast<std::uint32_t>(message.value); break;
        case 11: event(message.text, row); break;
        case 12: s.dropped_events = static_cast<std::uint32_t>(message.value); break;
        case 13: link(message.text, row); break;
        case 14: s.dropped_links = static_cast<std::uint32_t>(message.value); break;
        case 15: status(message.text, s); break;
        default: s.flags = static_cast<std::uint32_t>(message.value);
      }
    }
    // without ids it is odd, and without times it may be a metric
    if (!(s.trace_hi | s.trace_lo) || !s.span_id || !(s.start_ns | s.end_ns)) odd();
    spans.push_back(s);
  }

  void status(const Text& raw, Span& s) {
    Once once;
    for (Wire message(raw); message.next();) {
      if (message.is(3, Wire::VARINT)) {
        once(3);
        s.status_code = enumeration(message.value, 3);
      } else if (message.is(2, Wire::LENGTH)) {
        once(2);
        s.message_text = string(message);
      } else {
        unknown();
      }
    }
  }

  void event(const Text& raw, std::int64_t row) {
    Event e;
    e.span_row = row;
    Once once;
    for (Wire message(raw); message.next();) {
      if (message.is(3, Wire::LENGTH)) {
        event_raw_.push_back(message.text);
        e.attributes++;
      } else if (message.is(1, Wire::FIXED64)) {
        once(1);
        e.time_ns = time(message.value);
      } else if (message.is(2, Wire::LENGTH)) {
        once(2);
        e.name_text = string(message);
      } else if (message.is(4, Wire::VARINT)) {
        once(4);
        e.dropped_attributes = static_cast<std::uint32_t>(message.value);
      } else {
        unknown();
      }
    }
    events.push_back(e);
  }

  void link(const Text& raw, std::int64_t row) {
    Link k;
    k.span_row = row;
    Once once;
    for (Wire message(raw); message.next();) {
      if (message.number > 6 || message.type != LINK_TYPES[message.number]) {
        unknown();
        continue;
      }
      if (message.number != 4) once(message.number);
      switch (message.number) {
        case 1: trace_id(message.text, k.trace_hi, k.trace_lo); break;
        case 2: k.span_id = id(message.text); break;
        case 3: k.state_text = string(message); break;
        case 4:
          link_raw_.push_back(message.text);
          k.attributes++;
          break;
        case 5: k.dropped_attributes = static_cast<std::uint32_t>(message.value); break;
        default: k.flags = static_cast<std::uint32_t>(message.value);
      }
    }
    if (!(k.trace_hi | k.trace_lo) || !k.span_id) odd();
    links.push_back(k);
  }

  // ------------------------------------------------------------------ values

  static Text string(const Wire& message) {
    if (!is_utf8(message.text.at, message.text.at + message.text.length)) odd();
    return message.text;
  }

  static std::int64_t time(std::uint64_t value) {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) odd();
    return static_cast<std::int64_t>(value);
  }

  static std::uint8_t enumeration(std::uint64_t value, unsigned count) {
    if (value >= count) odd();
    return static_cast<std::uint8_t>(value);
  }

  static std::uint64_t big_endian(const Byte* p) {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | p[i];
    return value;
  }

  static std::uint64_t id(const Text& text) {
    if (text.length != 8) odd();
    return big_endian(text.at);
  }

  static void trace_id(const Text& text, std::uint64_t& hi, std::uint64_t& lo) {
    if (text.length != 16) odd();
    hi = big_endian(text.at);
    lo = big_endian(text.at + 8);
  }

  // The wire types of the fields, by number; there is no type 7.
  static constexpr unsigned SPAN_TYPES[17] = {7, 2, 2, 2, 2, 2, 0, 1, 1, 2, 0, 2, 0, 2, 0, 2, 5};
  static constexpr unsigned LINK_TYPES[7] = {7, 2, 2, 2, 2, 0, 5};
};

}  // namespace tracekit
