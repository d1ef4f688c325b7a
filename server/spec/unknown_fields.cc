#include "server/spec/unknown_fields.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/unknown_field_set.h"

namespace polyak::spec {

void RefuseUnknownFields(const google::protobuf::Message& message, const std::string& path,
                         Violations& violations) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  const google::protobuf::UnknownFieldSet& unknown = reflection.GetUnknownFields(message);
  if (!unknown.empty()) {  // one for all: there may be millions
    violations.Add(absl::StrCat(path, ".", unknown.field(0).number()),
                   "is a field of a later version than this server's, which GetServerInfo tells; "
                   "accepted: the fields of its polyak.v1");
  }
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const google::protobuf::FieldDescriptor* const field : fields) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
      continue;
    }
    const std::string field_path = absl::StrCat(path, ".", field->name());
    if (!field->is_repeated()) {
      RefuseUnknownFields(reflection.GetMessage(message, field), field_path, violations);
      continue;
    }
    for (int k = 0; k < reflection.FieldSize(message, field); ++k) {
      RefuseUnknownFields(reflection.GetRepeatedMessage(message, field, k),
                          absl::StrCat(field_path, "[", k, "]"), violations);
    }
  }
}

}  // namespace polyak::spec
