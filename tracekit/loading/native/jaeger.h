// Reads answers of Jaeger's query API, and traces on their own, to rows.  Tags, processes and names become codes of the
// distinct ones in these bytes, which Python decodes; a record with anything unexpected adds nothing and is handed back.
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

// What a span of Jaeger has beside the columns of every span.
struct JaegerSpan {
  Text process_text, scope_text, version_text;
  std::int32_t resource = -1, scope = -1;
  std::uint32_t quality = 0;
};

struct JaegerRecord {
  std::int64_t padded = 0;     // ids of traces with 16 digits
  std::uint8_t is_answer = 0;  // in the member "data" of an answer
};

// A process of a trace: its name in the trace, and its resource as it is written.
struct JaegerProcess {
  Text name, raw;
};

class JaegerScan : public Rows {
 public:
  // ``ends`` are where the records end, the first begins the data.
  JaegerScan(const Byte* data, std::vector<std::int64_t> ends) : data_(data), ends_(std::move(ends)) {}

  Interner processes{64}, scopes{64, &pairs_};  // scopes: pairs of codes of texts, the name and the version
  std::vector<JaegerSpan> more;
  std::vector<JaegerRecord> records;
  std::vector<std::int32_t> record_processes;  // of all records that were read, in their order
  std::vector<std::int64_t> process_counts;    // of each record that was read

  void run() {
    std::int64_t start = 0;
    for (std::size_t number = 0; number < ends_.size(); number++) {
      const std::int64_t stop = ends_[number];
      if (!record(data_ + start, data_ + stop, static_cast<std::int64_t>(number)))
        others.push_back({static_cast<std::int64_t>(number), start, stop, 0});
      start = stop;
    }
  }

 private:
  bool record(const Byte* from, const Byte* stop, std::int64_t number) {
    const std::size_t span = spans.size(), event = events.size(), link = links.size(), first = more.size();
    now_ = JaegerRecord();
    owners_.clear();
    const bool is_read = whole(
        [&] {
          Reader r(from, stop, false);
          content(r);
          r.blank();
          if (r.p < stop || (r.high && !is_utf8(from, stop))) odd();
        },
        spans, events, links, more);
    if (is_read) {
      lines.push_back({number, from - data_, stop - data_, static_cast<std::int64_t>(spans.size() - span)});
      records.push_back(now_);
      intern(span, event, link, first);
    }
    clear();
    return is_read;
  }

  void intern(std::size_t span, std::size_t event, std::size_t link, std::size_t first) {
    intern_rows(span, event, link);
    process_counts.push_back(static_cast<std::int64_t>(owners_.size()));
    for (const Text& raw : owners_) record_processes.push_back(processes.code(raw));
    Text last;
    std::int32_t code = -1;
    for (; first < more.size(); first++) {
      JaegerSpan& m = more[first];
      if (m.process_text.at != last.at) {  // spans of one process refer to the same bytes
        last = m.process_text;
        code = processes.code(last);
      }
      m.resource = code;
      const std::int32_t pair[] = {optional(m.scope_text), optional(m.version_text)};
      m.scope = scopes.code({reinterpret_cast<const Byte*>(pair), sizeof pair, false});
    }
  }

  // ------------------------------------------------------------------ answers and traces

  void content(Reader& r) {
    if (r.next() == '[') {
      traces(r, true);
      return;
    }
    const Byte* const from = r.p;
    if (!begins_answer(r)) {
      r.p = from;
      trace(r, true);
      return;
    }
    r.p = from;
    enum { DATA, TOTAL, LIMIT, OFFSET, ERRORS };
    static const Member names[] = {member("data"), member("total"), member("limit"), member("offset"),
                                   member("errors")};
    Plain<5> number(names);
    object(r, [&](const Text& key) {
      switch (number(key)) {
        case DATA:
          if (r.next() == '[') traces(r, false);
          else trace(r, false);
          break;
        case ERRORS: nothing(r); break;
        case -1: odd();
        default: r.skip(1);
      }
    });
    if (!number.all(1u << DATA)) odd();
    now_.is_answer = 1;
  }

  // Whether the first member of an object is one of an answer, not of a trace.
  static bool begins_answer(Reader& r) {
    r.want('{');
    const Text key = r.key();
    return key.is("data") || key.is("total") || key.is("limit") || key.is("offset") || key.is("errors");
  }

  void traces(Reader& r, bool is_record) {
    bool any = false;
    each(r, [&] {
      trace(r, is_record);
      any = true;
    });
    if (!any) odd();
  }

  // ``is_record``: its members tell its format, so that all of them have to be known.
  void trace(Reader& r, bool is_record) {
    enum { TRACE, SPANS, PROCESSES, WARNINGS };
    Once once;
    const std::size_t first = more.size();
    latest_ = 0;
    known_.clear();
    object(r, [&](const Text& key) {
      if (key.is("spans")) {
        once(SPANS);
        each(r, [&] { span(r); });
      } else if (key.is("traceID")) {
        once(TRACE);
        optional_text(r);
      } else if (key.is("processes")) {
        once(PROCESSES);
        object(r, [&](const Text& name) { known_.push_back({name, r.raw(4)}); });
      } else if (key.is("warnings")) {
        once(WARNINGS);
        nothing(r);
      } else if (is_record || key.is("_source")) {
        odd();
      } else {
        r.skip(3);
      }
    });
    if (!once.all(1u << SPANS | 1u << PROCESSES)) odd();
    if (more.size() > first && latest_ < NO_DATE) odd();  // its times count from zero
    for (const JaegerProcess& one : known_) owners_.push_back(one.raw);
    settle(first);
  }

  // Finds the processes that the spans of a trace name.
  void settle(std::size_t first) {
    const auto before = [](const Text& a, const Text& b) {
      const int order = std::memcmp(a.at, b.at, std::min(a.length, b.length));
      return order ? order < 0 : a.length < b.length;
    };
    const auto less = [&](const JaegerProcess& a, const JaegerProcess& b) { return before(a.name, b.name); };
    std::sort(known_.begin(), known_.end(), less);
    for (std::size_t i = 1; i < known_.size(); i++)
      if (same(known_[i - 1].name, known_[i].name)) odd();
    for (; first < more.size(); first++) {
      Text& name = more[first].process_text;
      const auto at = std::lower_bound(known_.begin(), known_.end(), JaegerProcess{name, Text()}, less);
      if (at == known_.end() || !same(at->name, name)) odd();
      name = at->raw;
    }
  }

  // ------------------------------------------------------------------ spans

  void span(Reader& r) {
    enum { TRACE, SPAN, NAME, REFERENCES, START, LENGTH, TAGS, LOGS, PROCESS, WARNINGS, FLAGS, PARENT };
    static const Member names[] = {
        member("traceID"), member("spanID"), member("operationName"), member("references"), member("startTime"),
        member("duration"), member("tags"), member("logs"), member("processID"), member("warnings"), member("flags"),
        member("parentSpanID")};
    const auto row = static_cast<std::int64_t>(spans.size());
    const std::size_t first = links.size();
    Span s;
    JaegerSpan m;
    Meaning meaning;
    Text parent;
    Plain<12> number(names);
    object(r, [&](const Text& key) {
      switch (number(key)) {
        case TRACE: m.quality |= trace_id(r, s.trace_hi, s.trace_lo); break;
        case SPAN: s.span_id = short_id(r.text()); break;
        case NAME: s.name_text = optional_text(r); break;
        case REFERENCES: if (!r.null()) each(r, [&] { reference(r, row); }); break;
        case START: s.start_ns = nanoseconds(r); break;
        case LENGTH: s.end_ns = nanoseconds(r); break;
        case TAGS: if (!r.null()) each(r, [&] { tag(r, meaning, s.attributes); }); break;
        case LOGS: if (!r.null()) each(r, [&] { log(r, row); }); break;
        case PROCESS:
          m.process_text = r.text();
          if (m.process_text.escaped) odd();
          break;
        case WARNINGS: nothing(r); break;
        case FLAGS: s.flags = unsigned32(r); break;
        case PARENT: parent = optional_text(r); break;
        default:  // of the UI, or a process in the span, which is of no account where the trace has it
          if (key.is("startTimeMillis") || key.is("tag")) odd();  // of Elasticsearch
          r.skip(5);
      }
    });
    constexpr unsigned needed = 1u << TRACE | 1u << SPAN | 1u << START | 1u << LENGTH | 1u << PROCESS;
    if (!number.all(needed) || !s.start_ns) odd();
    latest_ = std::max(latest_, s.start_ns / NS_PER_US);
    s.end_ns += s.start_ns;
    s.parent_id = found_parent(s, first, parent);
    apply(meaning, s, m);
    if (meaning.error.at) {
      span_raw_.push_back(meaning.error);
      s.attributes++;
    }
    spans.push_back(s);
    more.push_back(m);
  }

  // The first CHILD_OF of the same trace, else the deprecated member, else a FOLLOWS_FROM of the same trace on its own.
  std::uint64_t found_parent(const Span& s, std::size_t first, const Text& named) {
    std::uint64_t parent = 0;
    const std::size_t all = links.size() - first;
    const auto is_parent = [&s](const Link& k) {
      return k.relation == CHILD_OF && k.trace_hi == s.trace_hi && k.trace_lo == s.trace_lo;
    };
    const auto begin = links.begin() + static_cast<std::ptrdiff_t>(first);
    const auto found = std::find_if(begin, links.end(), is_parent);
    if (found != links.end()) {
      parent = found->span_id;
      links.erase(found);
    }
    const bool is_zero = std::all_of(named.at, named.at + named.length, [](Byte c) { return c == '0'; });
    if (!is_zero) {
      const std::uint64_t deprecated = short_id(named);
      if (!parent) parent = deprecated;
    }
    if (parent || all != 1) return parent;
    const Link& only = links[first];
    const bool follows = only.relation == FOLLOWS_FROM && only.trace_hi == s.trace_hi && only.trace_lo == s.trace_lo;
    return follows ? only.span_id : 0;
  }

  void reference(Reader& r, std::int64_t row) {
    enum { TRACE, SPAN, TYPE };
    Once once;
    Link k;
    k.span_row = row;
    object(r, [&](const Text& key) {
      if (key.is("traceID")) {
        once(TRACE);
        trace_id(r, k.trace_hi, k.trace_lo);
      } else if (key.is("spanID")) {
        once(SPAN);
        k.span_id = short_id(r.text());
      } else if (key.is("refType")) {
        once(TYPE);
        const Text type = r.text();
        k.relation = type.is("CHILD_OF") ? CHILD_OF : FOLLOWS_FROM;
        if (k.relation == FOLLOWS_FROM && !type.is("FOLLOWS_FROM")) odd();
      } else {
        r.skip(7);  // the span, which the UI adds
      }
    });
    if (!once.all(1u << TRACE | 1u << SPAN | 1u << TYPE)) odd();
    links.push_back(k);
  }

  static constexpr std::int8_t FOLLOWS_FROM = 1, CHILD_OF = 2;  // of schema.Relation

  void log(Reader& r, std::int64_t row) {
    enum { TIME, FIELDS };
    Once once;
    Event e;
    e.span_row = row;
    bool is_named = false;
    Text message;
    unsigned messages = 0;
    bool is_text = true;
    object(r, [&](const Text& key) {
      if (key.is("timestamp")) {
        once(TIME);
        e.time_ns = nanoseconds(r);
      } else if (key.is("fields")) {
        once(FIELDS);
        if (r.null()) return;
        each(r, [&] {
          const Tag t = read_tag(r, 8);
          if (t.key.is("event")) {
            if (is_named || !t.is_text) odd();
            is_named = true;
            e.name_text = t.value;
            return;
          }
          if (t.key.is("message")) {
            if (messages++) odd();
            is_text = t.is_text;
            message = t.value;
          }
          event_raw_.push_back(t.raw);
          e.attributes++;
        });
      } else {
        r.skip(7);
      }
    });
    if (!once.all(1u << TIME) || !(is_named || is_text)) odd();
    if (!is_named) e.name_text = message;
    events.push_back(e);
  }

  void tag(Reader& r, Meaning& meaning, std::int32_t& count) {
    const Tag t = read_tag(r, 6);
    if (meaning.take(t)) return;
    span_raw_.push_back(t.raw);
    count++;
  }

  void apply(const Meaning& meaning, Span& s, JaegerSpan& m) {
    s.kind = meaning.kind();
    s.status_code = meaning.status();
    s.message_text = meaning.message;
    s.state_text = meaning.state;
    m.scope_text = meaning.scope();
    m.version_text = meaning.version();
    m.quality |= meaning.quality();
  }

  // ------------------------------------------------------------------ values

  // Returns the quality of the id.
  std::uint32_t trace_id(Reader& r, std::uint64_t& hi, std::uint64_t& lo) {
    const Text text = r.text();
    if (long_id(text, hi, lo)) {
      now_.padded++;
      return ID_PADDED;
    }
    return 0;
  }

  // Passes over a member that says nothing: null, or a list without items.
  static void nothing(Reader& r) {
    if (r.null()) return;
    r.want('[');
    r.want(']');
  }

  Arena pairs_;
  const Byte* const data_;
  const std::vector<std::int64_t> ends_;
  JaegerRecord now_;
  std::int64_t latest_ = 0;             // start of the trace, in microseconds
  std::vector<JaegerProcess> known_;    // of the present trace
  std::vector<Text> owners_;            // all processes of the record, as they are written
};

}  // namespace tracekit
