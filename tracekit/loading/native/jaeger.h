// Reads answers of Jaeger's query API, traces and spans on their own, and what Elasticsearch has of spans, to rows.  Tags,
// processes and names become codes of the distinct ones in these bytes, which Python decodes; a record with anything
// unexpected adds nothing and is handed back.
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
  std::uint8_t answer = 0;     // 1 in the member "data" of Jaeger's answer, 2 in the hits of Elasticsearch's
};

// A process of a trace: its name in the trace, and its resource as it is written.
struct JaegerProcess {
  Text name, raw;
};

class JaegerScan : public Rows {
 public:
  JaegerScan(const Byte* data, std::size_t size) : data_(data), end_(data + size) {}

  Interner processes{64}, scopes{64, &pairs_};  // scopes: pairs of codes of texts, the name and the version
  std::vector<JaegerSpan> more;
  std::vector<JaegerRecord> records;
  std::vector<std::int32_t> record_processes;  // of all records that were read, in their order
  std::vector<std::int64_t> process_counts;    // of each record that was read

  std::vector<std::int64_t> places;            // where each of the items begins and ends

  // Reads the records that end at these places, where all or none are wanted up to one that is handed back; the first
  // begins the data.
  void run(const std::vector<std::int64_t>& ends, bool is_whole = false) {
    std::int64_t start = 0;
    for (std::size_t number = 0; number < ends.size() && !(is_whole && others.size()); number++) {
      const std::int64_t stop = ends[number];
      Reader r(data_ + start, data_ + stop, false);
      const bool is_read = record(r, static_cast<std::int64_t>(number), [&] {
        content(r);
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
      if (!record(r, number, [&] { item(r); })) return;
      places.push_back(from - data_);
      places.push_back(r.p - data_);
      if (!r.is(',')) return;
      p = r.p;
    }
  }

 private:
  template <class Read> bool record(Reader& r, std::int64_t number, Read read) {
    const std::size_t span = spans.size(), event = events.size(), link = links.size(), first = more.size();
    const Byte* const from = r.p;
    now_ = JaegerRecord();
    owners_.clear();
    const bool is_read = whole(
        [&] {
          read();
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

  enum Shape { ANSWER, HITS, HIT, TRACE_ALONE, SPAN_ALONE };

  // What an object is, by the first of its members that only one kind has.
  static Shape shape(Reader& r) {
    const Byte* const from = r.p;
    Shape found = SPAN_ALONE;
    r.want('{');
    do {
      const Text key = r.key();
      if (key.is("traceID") || key.is("warnings")) {  // of traces and of spans
        r.skip(5);
        continue;
      }
      if (key.is("spans") || key.is("processes")) found = TRACE_ALONE;
      else if (key.is("_scroll_id") || key.is("_shards") || key.is("took") || key.is("timed_out") || key.is("hits")) found = HITS;
      else if (key.length && key.at[0] == '_') found = HIT;
      else if (key.is("data") || key.is("total") || key.is("limit") || key.is("offset") || key.is("errors"))
        found = ANSWER;
      break;
    } while (r.is(','));
    r.p = from;
    return found;
  }

  void content(Reader& r) {
    if (r.next() == '[') {
      list(r, [&] { item(r); });
      return;
    }
    switch (shape(r)) {
      case ANSWER: answer(r); break;
      case HITS: hits(r); break;
      default: item(r);
    }
  }

  void answer(Reader& r) {
    enum { DATA, TOTAL, LIMIT, OFFSET, ERRORS };
    static const Member names[] = {member("data"), member("total"), member("limit"), member("offset"),
                                   member("errors")};
    Plain<5> number(names);
    object(r, [&](const Text& key) {
      switch (number(key)) {
        case DATA:
          if (r.next() == '[') list(r, [&] { trace(r, false); });
          else trace(r, false);
          break;
        case ERRORS: nothing(r); break;
        case -1: odd();
        default: r.skip(1);
      }
    });
    if (!number.all(1u << DATA)) odd();
    now_.answer = 1;
  }

  // Elasticsearch's answer to a search.
  void hits(Reader& r) {
    enum { INNER };
    static const Member names[] = {member("hits"), member("took"), member("timed_out"), member("_shards"),
                                   member("_scroll_id"), member("status"), member("total"), member("max_score")};
    Plain<6, 8> outer(names);
    Plain<8> inner(names);
    object(r, [&](const Text& key) {
      const int found = outer(key);
      if (found < 0) odd();
      if (found == INNER) {
        object(r, [&](const Text& name) {
          if (inner(name) == INNER) list(r, [&] { item(r); });
          else r.skip(2);
        });
      } else {
        r.skip(1);
      }
    });
    if (!inner.all(1u << INNER)) odd();
    now_.answer = 2;
  }

  // Reads a list with at least one item.
  template <class Read> static void list(Reader& r, Read read) {
    bool any = false;
    each(r, [&] {
      read();
      any = true;
    });
    if (!any) odd();
  }

  // A trace, a span, or a document of Elasticsearch with a span.
  void item(Reader& r) {
    if (r.next() != '{') odd();
    switch (shape(r)) {
      case TRACE_ALONE: trace(r, true); break;
      case HIT: hit(r); break;
      default: span<true>(r);
    }
  }

  void hit(Reader& r) {
    enum { SOURCE };
    static const Member names[] = {member("_source"), member("_index"), member("_id"), member("_type"), member("_score"),
                                   member("_version"), member("_seq_no"), member("_primary_term"), member("_routing"),
                                   member("_ignored"), member("sort"), member("fields")};
    Plain<12> number(names);
    object(r, [&](const Text& key) {
      switch (number(key)) {
        case SOURCE: span<true>(r); break;
        case -1: odd();
        default: r.skip(1);
      }
    });
    if (!number.all(1u << SOURCE)) odd();
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
        each(r, [&] { span<false>(r); });
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

  // ``ALONE``: without a trace, so that its process is in it, and its members tell its format.
  template <bool ALONE> void span(Reader& r) {
    enum { TRACE, SPAN, NAME, REFERENCES, START, LENGTH, TAGS, LOGS, PROCESS, WARNINGS, FLAGS, PARENT, MILLIS, TAG,
           EMBEDDED };
    static const Member names[] = {
        member("traceID"), member("spanID"), member("operationName"), member("references"), member("startTime"),
        member("duration"), member("tags"), member("logs"), member("processID"), member("warnings"), member("flags"),
        member("parentSpanID"), member("startTimeMillis"), member("tag"), member("process")};
    const auto row = static_cast<std::int64_t>(spans.size());
    const std::size_t first = links.size();
    Span s;
    JaegerSpan m;
    Meaning meaning;
    Text parent;
    bool is_elastic = false;
    map_raw_.clear();
    has_binary_ = false;
    Plain<ALONE ? 15 : 12, 15> number(names);
    object(r, [&](const Text& key) {
      switch (number(key)) {
        case TRACE: m.quality |= trace_id(r, s.trace_hi, s.trace_lo); break;
        case SPAN: s.span_id = short_id(r.text()); break;
        case NAME: s.name_text = optional_text(r); break;
        case REFERENCES: if (!r.null()) each(r, [&] { reference(r, row); }); break;
        case START: s.start_ns = nanoseconds(r); break;
        case LENGTH: s.end_ns = nanoseconds(r); break;
        case TAGS: if (!r.null()) each(r, [&] { tag(r, meaning, s.attributes); }); break;
        case TAG: if (!r.null()) map_of_tags(r, meaning, s.attributes); break;
        case MILLIS:
          is_elastic = true;
          r.skip(5);
          break;
        case EMBEDDED:
          m.process_text = r.raw(5);
          if (m.process_text.at[0] != '{') odd();
          break;
        case LOGS: if (!r.null()) each(r, [&] { log(r, row); }); break;
        case PROCESS:
          if (ALONE) {  // the name of a process that is nowhere
            r.skip(5);
            break;
          }
          m.process_text = r.text();
          if (m.process_text.escaped) odd();
          break;
        case WARNINGS: nothing(r); break;
        case FLAGS: s.flags = unsigned32(r); break;
        case PARENT: parent = optional_text(r); break;
        default:  // of the UI, or a process in the span, which is of no account where the trace has it
          if (ALONE ? !is_of_ui(key) : key.is("startTimeMillis") || key.is("tag")) odd();
          r.skip(5);
      }
    });
    constexpr unsigned needed = 1u << TRACE | 1u << SPAN | 1u << START | 1u << LENGTH;
    if (!number.all(needed | 1u << (ALONE ? EMBEDDED : PROCESS)) || !s.start_ns) odd();
    if (is_elastic && has_binary_) odd();  // in hex
    if (ALONE) owners_.push_back(m.process_text);
    span_raw_.insert(span_raw_.end(), map_raw_.begin(), map_raw_.end());
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

  // Whether a span may have this member, which Jaeger's UI or Elasticsearch adds.
  static bool is_of_ui(const Text& key) {
    return key.is("@timestamp") || key.is("depth") || key.is("hasChildren") || key.is("relativeStartTime") ||
           key.is("childSpanIds") || key.is("subsidiarilyReferencedBy");
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
          note_binary(t);
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
    note_binary(t);
    if (meaning.take(t)) return;
    span_raw_.push_back(t.raw);
    count++;
  }

  void note_binary(const Tag& t) { has_binary_ = has_binary_ || t.type.escaped || is_word(t.type, "binary"); }

  // Tags as a map, whose names have "@" where there were points.
  void map_of_tags(Reader& r, Meaning& meaning, std::int32_t& count) {
    map_names_.clear();
    object(r, [&](const Text& name) {
      const Byte* const from = name.at - 1;  // its quote
      if (map_names_.size() == MANY) odd();
      for (const Text& one : map_names_)
        if (same(one, name)) odd();
      map_names_.push_back(name);
      Tag t;
      t.key = with_points(name, spelled_);
      if (r.next() == '"') {
        t.value = r.text();
        t.is_text = t.is_string = true;
      } else {
        t.other = r.raw(7);
        t.is_true = t.other.is("true");
        t.is_false = t.other.is("false");
      }
      t.raw = r.slice(from, false);
      if (meaning.take(t)) return;
      map_raw_.push_back(t.raw);
      count++;
    });
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

  static constexpr std::size_t MANY = 64;  // tags in a map, each of which is compared to those before

  Arena pairs_;
  const Byte* const data_;
  const Byte* const end_;
  JaegerRecord now_;
  bool has_binary_ = false;            // of the present span
  std::vector<Text> map_raw_;          // tags of its map
  std::vector<Text> map_names_;        // and their names
  std::vector<Byte> spelled_;
  std::int64_t latest_ = 0;             // start of the trace, in microseconds
  std::vector<JaegerProcess> known_;    // of the present trace
  std::vector<Text> owners_;            // all processes of the record, as they are written
};

}  // namespace tracekit
