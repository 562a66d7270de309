// Reads a span document of OpenSearch, as Data Prepper has them, to rows of otlp.h: what ../otlp/prepper.py does with
// parsed documents.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "dates.h"
#include "interner.h"
#include "json.h"
#include "members.h"
#include "order.h"
#include "otlp.h"
#include "prepper_names.h"
#include "prepper_owners.h"
#include "recent.h"

namespace tracekit {

class PrepperDocuments : public Scan {
 public:
  using Scan::Scan;

 protected:
  // Reads a document, of a record that begins at this place.
  void document(Reader& r, std::int64_t place) {
    Plain<OF_DOCUMENT> number(NAMES);
    begin(place);
    document_order_.object(r, number, [&](int found, const Text& name) { value(r, found, name); });
    if (!number.all(1u << TRACE | 1u << SPAN | 1u << START | 1u << END)) odd();
    if (!(span_.trace_hi | span_.trace_lo) || !span_.span_id) odd();
    for (const Text& copy : copies_)
      if (copy.at && !same(copy, start_)) odd();
    finish();
  }

 private:
  enum { TRACE, SPAN, STATE, PARENT, NAME, KIND, START, END, DURATION, SERVICE, EVENTS, LINKS, DROPPED, DROPPED_EVENTS,
         DROPPED_LINKS, GROUP, GROUP_FIELDS, ATTRIBUTES, SPAN_ATTRIBUTES, RESOURCE, RESOURCE_ATTRIBUTES, SCOPE, LIBRARY,
         SCOPE_ITSELF, STATUS, STAMP, TIME };
  static constexpr std::size_t OF_DOCUMENT = 27;
  static constexpr Member NAMES[] = {
      member("traceId"), member("spanId"), member("traceState"), member("parentSpanId"), member("name"), member("kind"),
      member("startTime"), member("endTime"), member("durationInNanos"), member("serviceName"), member("events"),
      member("links"), member("droppedAttributesCount"), member("droppedEventsCount"), member("droppedLinksCount"),
      member("traceGroup"), member("traceGroupFields"), member("attributes"), member("span.attributes"),
      member("resource"), member("resource.attributes"), member("instrumentationScope"),
      member("instrumentationLibrary"), member("scope"), member("status"), member("@timestamp"), member("time")};

  void begin(std::int64_t place) {
    document_++;
    span_ = Span();
    span_.place = place;
    status_ = Once();
    start_ = copies_[0] = copies_[1] = Text();
    resource_.runs.clear();
    scope_.runs.clear();
  }

  void finish() {
    Group group;
    group.line = line_;
    group.spans = 1;
    group.has_scope = group.is_first = true;
    group.resource_text = owners_.resource(resource_);
    group.scope_text = owners_.scope(scope_);
    for (const auto& run : resource_.runs)
      if (run.is_fresh) runs_.add({run.from, static_cast<std::uint32_t>(run.end - run.from), false});
    groups.push_back(group);
    spans.push_back(span_);
    line_dialects_.span_documents++;
    line_dialects_.flat_spans++;
    line_dialects_.attribute_maps++;
  }

  // Reads the value of a member.
  void value(Reader& r, int found, const Text& name) {
    const auto row = static_cast<std::int64_t>(spans.size());
    switch (found) {
      case TRACE: spelled(trace_id(r, span_.trace_hi, span_.trace_lo)); break;
      case SPAN: spelled(span_id(r, span_.span_id)); break;
      case STATE: span_.state_text = optional_text(r); break;
      case PARENT: parent_id(r, span_.parent_id); break;
      case NAME: span_.name_text = optional_text(r); break;
      case KIND: span_.kind = kind(r); break;
      case START:
        start_ = r.text();
        span_.start_ns = dates_.nanoseconds(start_);
        break;
      case END: span_.end_ns = dates_.nanoseconds(r.text()); break;
      case DURATION: r.skip(1); break;
      case SERVICE:
        if (r.next() != '"') odd();
        r.text();
        resource_.add(name.at, r.p);
        break;
      case EVENTS: if (!r.null()) each(r, [&] { dated_event(r, row); }); break;
      case LINKS: if (!r.null()) each(r, [&] { link(r, row); }); break;
      case DROPPED: span_.dropped_attributes = unsigned32(r); break;
      case DROPPED_EVENTS: span_.dropped_events = unsigned32(r); break;
      case DROPPED_LINKS: span_.dropped_links = unsigned32(r); break;
      case GROUP:
      case GROUP_FIELDS: group_member(r, name, key_of_group_[found - GROUP]); break;
      case ATTRIBUTES:
      case SPAN_ATTRIBUTES: attributes_of(r); break;
      case RESOURCE:
      case RESOURCE_ATTRIBUTES: add_object(r, name, resource_); break;
      case SCOPE:
      case LIBRARY:
      case SCOPE_ITSELF: add_object(r, name, scope_); break;
      case STATUS:
        if (r.next() != '{') odd();
        object(r, [&](const Text& key) { status(r, key); });
        break;
      case STAMP:
      case TIME: copies_[found - STAMP] = r.text(); break;
      default: with_point(r, name);
    }
  }

  // A member that all documents of a trace have, with the number of its key, -1 before it is known.
  void group_member(Reader& r, const Text& name, std::int32_t& key) {
    const Byte first = r.next();
    const Text known = first == '{' ? group_fields_.find(r.p, r.end) : Text();
    if (known.at) {
      r.p += known.length;
    } else if (first == '{') {
      group_fields_.add(r.raw(INSIDE));
    } else {
      r.skip(INSIDE);
    }
    const Attribute one(r.slice(name.at, false));
    if (key < 0) key = meaning_of(one).key;
    attribute(one, key);
  }

  // Adds a member that is an object; one that was read before is compared, as it ends where it ended then.
  void add_object(Reader& r, const Text& name, OwnMembers& to) {
    if (r.next() != '{') odd();
    const Text known = objects_.find(r.p, r.end);
    if (known.at) {
      r.p += known.length;
    } else {
      objects_.add(r.raw(INSIDE));
    }
    to.add(name.at, r.p, known);
  }

  void status(Reader& r, const Text& key) {
    const bool is_code = key.is("code");
    if (!is_code && !key.is("message")) odd();
    status_(is_code);
    if (is_code) span_.status_code = status_code(r);
    else span_.message_text = optional_text(r);
  }

  void dated_event(Reader& r, std::int64_t row) {
    std::int64_t date = 0;
    event(r, row, [&](const Text& name, Event& e) {
      if (!name.is("time")) return r.skip(9);
      if (date || e.time_ns) odd();
      e.time_ns = date = dates_.nanoseconds(r.text());
    });
    if (date && (events.back().time_ns != date || events.back().rounded)) odd();  // it has another time as well
  }

  // ------------------------------------------------------------------ members with a point, and attributes

  static constexpr int INSIDE = 3;  // containers around the value of an attribute, at most

  // What an attribute, or a member of a document, is by its name, which has a number if it is an attribute's.
  struct Meaning {
    Owner owner = Owner::SPAN;
    std::int32_t key = -1;
  };

  // A member whose name has a point, and those that follow as in documents before.
  void with_point(Reader& r, const Text& name) {
    if (!name.length || *name.at == '{' || !std::memchr(name.at, '.', name.length)) odd();
    const Byte* const at_value = r.p;
    r.p = name.at;
    if (!follows(r)) {
      r.p = at_value;
      take(r, shapes.member(r, name.at, INSIDE));
    }
    for (;;) {
      const Byte* const from = r.p;
      if (!r.is(',') || !r.is('"') || !follows(r)) {
        r.p = from;
        return;
      }
    }
  }

  // Reads the member whose name begins here, or several of a resource, if they are as in documents before.
  bool follows(Reader& r) {
    if (r.p >= r.end || *r.p == '"' || *r.p == '{') return false;
    if (*r.p == 'r' && known_members(r)) return true;
    const Attribute one = shapes.guess(r);
    if (one.at) take(r, one);
    return one.at != nullptr;
  }

  bool known_members(Reader& r) {
    const Text known = runs_.find(r.p, r.end);
    const Byte* const behind = r.p + known.length;
    if (!known.at || behind >= r.end || (*behind != ',' && *behind != '}')) return false;  // a number may go on
    resource_.add(r.p, behind, known);
    r.p = behind;
    return true;
  }

  // Takes a member that was read.
  void take(Reader& r, const Attribute& one) {
    const Meaning meaning = meaning_of(one);
    if (meaning.owner == Owner::SPAN) return attribute(one, meaning.key);
    const Byte* const from = start_of(one);
    if (meaning.owner == Owner::STATUS) {
      r.p = from - 1;  // the quote
      status(r, behind(r.key(), member("status.")));
    } else {
      (meaning.owner == Owner::RESOURCE ? resource_ : scope_).add_fresh(from, r.p);
    }
  }

  // Where an attribute begins.
  const Byte* start_of(const Attribute& one) const {
    return one.shape == Attribute::WHOLE ? one.at : one.at - shapes.found[static_cast<std::size_t>(one.shape)].front;
  }

  void attributes_of(Reader& r) {
    r.want('{');
    if (r.is('}')) return;
    do {
      if (r.next() != '"') odd();
      Attribute one = shapes.guess(r);
      if (!one.at) {
        const Byte* const from = r.p;
        r.key();
        one = shapes.member(r, from, INSIDE);
      }
      attribute(one);
    } while (r.is(','));
    r.want('}');
  }

  void attribute(const Attribute& one) { attribute(one, meaning_of(one).key); }

  // Adds an attribute, unless the document has one of the same name.
  void attribute(const Attribute& one, std::int32_t key) {
    std::uint64_t& last = documents_[static_cast<std::size_t>(key)];
    if (last == document_) odd();
    last = document_;
    span_raw_.push_back(one);
    span_.attributes++;
  }

  // Of all that are written in a shape it is found once.
  Meaning meaning_of(const Attribute& one) {
    if (one.shape == Attribute::WHOLE) return found_meaning(one);
    if (meanings_.size() < shapes.found.size()) meanings_.resize(shapes.found.size());
    Meaning& known = meanings_[static_cast<std::size_t>(one.shape)];
    if (known.owner == Owner::SPAN && known.key < 0) known = found_meaning(one);
    return known;
  }

  Meaning found_meaning(const Attribute& one) {
    const Byte* const from = start_of(one);
    Text name = written_name(from, one.at + one.length);
    if (*from != '"') {
      const Owner owner = owner_of(name);
      if (owner != Owner::SPAN) return {owner, -1};
      name = attribute_name(name, spelled_);
    }
    const std::int32_t key = numbers_of_keys_.code(name);
    documents_.resize(numbers_of_keys_.found.size());
    return {Owner::SPAN, key};
  }

  Order<OF_DOCUMENT> document_order_;
  Dates dates_;
  PrepperOwners owners_;
  Recent group_fields_;
  std::int32_t key_of_group_[2] = {-1, -1};
  Recent objects_, runs_;  // of resources and scopes; members of a resource that follow each other
  std::vector<Meaning> meanings_;  // by shape
  Arena names_of_keys_;
  Interner numbers_of_keys_{64, &names_of_keys_};
  std::vector<std::uint64_t> documents_;  // by the number of a key: the last one that has it
  std::vector<Byte> spelled_;
  // of the present document
  std::uint64_t document_ = 0;
  Span span_;
  Once status_;
  Text start_, copies_[2];
  OwnMembers resource_, scope_;
};

}  // namespace tracekit
