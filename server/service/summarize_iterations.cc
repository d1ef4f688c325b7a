#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/engine/trainer/trainer.h"
#include "server/jobs/errors.h"
#include "server/service/bin_edges.h"
#include "server/service/grpc_status.h"
#include "server/service/training_service.h"

namespace polyak::service {
namespace {

constexpr int32_t kBinsDefault = 400;
constexpr int32_t kBinsMax = 800;  // an answer of 800 bins is under 100 kB

using Request = v1::SummarizeIterationsRequest;
using Response = v1::SummarizeIterationsResponse;

absl::Status CheckRequest(const Request& request) {
  spec::Violations violations;
  if (request.bins() < 0 || request.bins() > kBinsMax) {
    violations.Add("bins", spec::Refusal(request.bins(),
                                         absl::StrCat("0 (", kBinsDefault, ") to ", kBinsMax)));
  }
  if (request.first_iteration() < 0) {
    violations.Add("first_iteration", spec::Refusal(request.first_iteration(), "0 or more"));
  }
  if (request.has_last_iteration() && request.last_iteration() < request.first_iteration()) {
    violations.Add("last_iteration",
                   spec::Refusal(request.last_iteration(), "first_iteration or more"));
  }
  if (!Request::Axis_IsValid(request.axis())) {
    violations.Add("axis", spec::Refusal(static_cast<int64_t>(request.axis()),
                                         "AXIS_LINEAR (default) or AXIS_LOGARITHMIC"));
  }
  return violations.empty() ? absl::OkStatus() : jobs::InvalidArgument(violations);
}

v1::ColumnSummary DescribeColumn(const std::vector<storage::ColumnSummary>& bins) {
  v1::ColumnSummary column;
  for (const storage::ColumnSummary& bin : bins) {
    column.add_first(bin.first);
    column.add_min(bin.min);
    column.add_max(bin.max);
    column.add_last(bin.last);
    column.add_non_finite_count(bin.non_finite);
  }
  return column;
}

absl::Status FillDiagnostics(const storage::TraceReader& trace, std::span<const int64_t> edges,
                             Response& response) {
  const std::array<std::pair<int, v1::ColumnSummary*>, engine::kDiagnosticColumns> columns = {
      {{engine::kSmallestEigenvalue, response.mutable_smallest_eigenvalue()},
       {engine::kLargestEigenvalue, response.mutable_largest_eigenvalue()},
       {engine::kConditionNumber, response.mutable_condition_number()},
       {engine::kFlippedShare, response.mutable_flipped_share()},
       {engine::kDistanceFromStart, response.mutable_distance_from_start()}}};
  for (const auto& [column, summary] : columns) {
    POLYAK_ASSIGN_OR_RETURN(const auto bins, trace.Summarize(column, edges));
    *summary = DescribeColumn(bins);
  }
  return absl::OkStatus();
}

absl::Status Fill(const Request& request, const jobs::Job& job, Response& response) {
  const auto trace = job.reader();
  const int64_t rows = trace->row_count();
  response.set_stored_records(rows);
  const int64_t last =
      request.has_last_iteration() ? std::min(request.last_iteration(), rows - 1) : rows - 1;
  const int32_t bins = request.bins() == 0 ? kBinsDefault : request.bins();
  const std::vector<int64_t> edges =
      request.axis() == Request::AXIS_LOGARITHMIC
          ? LogarithmicEdges(request.first_iteration(), last + 1, bins)
          : LinearEdges(request.first_iteration(), last + 1, bins);
  POLYAK_ASSIGN_OR_RETURN(const auto loss, trace->Summarize(engine::kLoss, edges));
  POLYAK_ASSIGN_OR_RETURN(const auto residual, trace->Summarize(engine::kResidualNorm, edges));
  POLYAK_ASSIGN_OR_RETURN(const auto rate, trace->Summarize(engine::kRateEstimate, edges));
  for (size_t k = 0; k < loss.size(); ++k) {
    response.add_first_iteration(edges[k]);
    response.add_count(loss[k].count);
  }
  *response.mutable_loss() = DescribeColumn(loss);
  *response.mutable_residual_norm() = DescribeColumn(residual);
  *response.mutable_rate_estimate() = DescribeColumn(rate);
  if (job.outline().diagnostics_interval > 0 && rows > 0) {
    // What a server that knew no diagnostics has computed has none.
    POLYAK_ASSIGN_OR_RETURN(const storage::Columns start, trace->Read(0, 1, 1));
    if (start.columns.size() == size_t{engine::kDiagnosedTraceColumns}) {
      return FillDiagnostics(*trace, edges, response);
    }
  }
  return absl::OkStatus();
}

}  // namespace

grpc::ServerUnaryReactor* TrainingService::SummarizeIterations(grpc::CallbackServerContext* context,
                                                               const Request* request,
                                                               Response* response) noexcept {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (const absl::Status status = CheckRequest(*request); !status.ok()) {
    reactor->Finish(ToGrpcStatus(status));
    return reactor;
  }
  // Request and response live until the reactor is finished.
  jobs_.Find(request->name(), [this, reactor, request, response](const auto& job) {
    if (!job.ok()) {
      return reactor->Finish(ToGrpcStatus(job.status()));
    }
    jobs_.ReadDisk([reactor, request, response, job = *job] {
      reactor->Finish(ToGrpcStatus(jobs::WithDetails(Fill(*request, *job, *response))));
    });
  });
  return reactor;
}

}  // namespace polyak::service
