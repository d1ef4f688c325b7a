#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/spec/violations.h"

namespace polyak::jobs {

// Errors as clients get them: each carries one google.rpc.ErrorInfo with a stable reason, and the
// details of its kind, as a serialised google.rpc.Status in the payload kDetailsUrl.
inline constexpr char kDetailsUrl[] = "type.googleapis.com/google.rpc.Status";

// INVALID_ARGUMENT with every kept violation and the number of the rest.
absl::Status InvalidArgument(const spec::Violations& violations);
absl::Status JobNotFound(const std::string& name, bool expired);
absl::Status DatasetNotFound(const std::string& name);
absl::Status AlreadyExists(const std::string& reason, const std::string& message);
absl::Status FailedPrecondition(const std::string& reason, const std::string& subject,
                                const std::string& message);
absl::Status OutOfRange(const std::string& message,
                        const std::map<std::string, std::string>& metadata);
// A later try can help: RetryInfo and QuotaFailure.
absl::Status ResourceExhausted(const std::string& reason, const std::string& subject,
                               const std::string& message, absl::Duration retry_after);
// The server is about to stop.
absl::Status Draining();
// An error of the stores, which know nothing of clients, with its details: DISK_FULL and
// STORE_UNAVAILABLE (a later try can help), DATA_DAMAGED, else STORE_ERROR. Those that have details
// are answered as they are.
absl::Status WithDetails(const absl::Status& status);

}  // namespace polyak::jobs
