#pragma once

#include <string>

#include "google/protobuf/message.h"
#include "server/spec/violations.h"

namespace polyak::spec {

// Refuses what a client of a later version sends: a job without it would not be the job that was
// asked for. The path of such a field ends in its number, the first one of each message.
//   message: any.   path: its own, from the request on.   Cost: O(messages in it).
void RefuseUnknownFields(const google::protobuf::Message& message, const std::string& path,
                         Violations& violations);

}  // namespace polyak::spec
