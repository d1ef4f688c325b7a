#include <cmath>

#include "server/base/build.h"
#include "server/engine/data/built_in.h"
#include "server/service/training_service.h"

namespace polyak::service {
namespace {

void DescribeLimits(const jobs::JobsOptions& options, const ServiceOptions& service,
                    v1::Limits& limits) {
  limits.set_max_iterations(options.limits.max_iterations);
  limits.set_max_dimension(options.limits.max_dimension);
  limits.set_max_matrix_dimension(options.limits.max_matrix_dimension);
  limits.set_max_examples(options.limits.max_examples);
  limits.set_max_width(options.limits.max_width);
  limits.set_max_depth(options.limits.max_depth);
  limits.set_memory_bytes(static_cast<int64_t>(options.limits.memory_bytes));
  limits.set_queue_capacity(options.queue_capacity);
  limits.set_workers(options.workers);
  limits.set_max_message_bytes(service.max_message_bytes);
  limits.set_max_watchers(service.max_watchers);
  limits.set_max_read_parameters(service.max_read_parameters);
  if (std::isfinite(options.limits.disk_bytes)) {
    limits.set_disk_bytes(static_cast<int64_t>(options.limits.disk_bytes));
  }
  limits.set_disk_reserve_bytes(service.disk_reserve_bytes);
  limits.set_dataset_bytes(service.dataset_bytes);
  if (options.retention != absl::InfiniteDuration()) {
    limits.mutable_retention()->set_seconds(absl::ToInt64Seconds(options.retention));
  }
  limits.mutable_max_duration()->set_seconds(
      static_cast<int64_t>(options.limits.max_duration_seconds));
}

}  // namespace

grpc::ServerUnaryReactor* TrainingService::GetServerInfo(
    grpc::CallbackServerContext* context, const v1::GetServerInfoRequest* /*request*/,
    v1::GetServerInfoResponse* response) noexcept {
  response->set_version(POLYAK_VERSION);
  response->set_build(base::BuildTools());
  DescribeLimits(jobs_.options(), options_, *response->mutable_limits());
  response->add_plans(v1::EXECUTION_PLAN_DENSE);
  response->add_plans(v1::EXECUTION_PLAN_REDUCED);
  for (const engine::BuiltInDataset& set : engine::BuiltInDatasets()) {
    auto& dataset = *response->add_built_in_datasets();
    dataset.set_name(std::string{set.name});
    dataset.set_description(std::string{set.description});
    dataset.set_examples(set.data->features.rows());
    dataset.set_input_dimension(set.data->features.cols());
    dataset.set_output_dimension(set.data->targets.cols());
  }
  response->set_jobs_survive_restart(jobs_.survives_restart());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace polyak::service
