#include "server/main/server.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "server/base/build.h"
#include "server/base/clock.h"
#include "server/engine/data/built_in.h"
#include "server/engine/linalg/processor_class.h"
#include "server/jobs/datasets.h"
#include "server/jobs/group.h"
#include "server/jobs/jobs.h"
#include "server/main/stores.h"
#include "server/service/dataset_service.h"
#include "server/service/training_service.h"
#include "server/telemetry/log.h"

namespace polyak::server {
namespace {

constexpr double kBytesPerMebibyte = 1 << 20;
constexpr char kServiceName[] = "polyak.v1.TrainingService";

double MemoryBudget(const ServerOptions& options) {
  if (options.memory_mebibytes > 0) {
    return static_cast<double>(options.memory_mebibytes) * kBytesPerMebibyte;
  }
  struct sysinfo info = {};
  if (sysinfo(&info) != 0) {
    return 1e9;
  }
  return 0.75 * static_cast<double>(info.totalram) * info.mem_unit;
}

jobs::JobsOptions MakeJobsOptions(const ServerOptions& options) {
  jobs::JobsOptions jobs_options;
  jobs_options.workers = options.workers > 0
                             ? options.workers
                             : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  jobs_options.queue_capacity = options.queue_capacity;
  jobs_options.limits.memory_bytes = MemoryBudget(options);
  jobs_options.limits.max_duration_seconds = options.max_duration_seconds;
  if (options.disk_mebibytes > 0) {
    jobs_options.limits.disk_bytes =
        static_cast<double>(options.disk_mebibytes) * kBytesPerMebibyte;
  }
  if (options.retention_days > 0) {
    jobs_options.retention = absl::Hours(24) * options.retention_days;
  }
  return jobs_options;
}

// One listener, settings as in docs/decisions/grpc-settings.md.
std::unique_ptr<grpc::Server> StartGrpc(const ServerOptions& options,
                                        service::TrainingService& training,
                                        service::DatasetService& datasets, int& port) {
  grpc::EnableDefaultHealthCheckService(true);
  if (options.reflection) {
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  }
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&training);
  builder.RegisterService(&datasets);
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_mebibytes * (1 << 20)));
  // Two servers on one port would share it silently.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Identity only: a compressed message of a few kB may unfold to gigabytes before its size is
  // checked.
  builder.AddChannelArgument(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 8 << 10);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 20'000);
  return builder.BuildAndStart();
}

void SetHealth(grpc::Server& server, bool serving) {
  grpc::HealthCheckServiceInterface* const health = server.GetHealthCheckService();
  health->SetServingStatus(serving);
  health->SetServingStatus(kServiceName, serving);
}

// Whether a server answers at unix:PATH. gRPC removes a socket that is there before it binds its
// own: that of a server that is gone, but also of one that runs.
bool IsServedAlready(const std::string& listen) {
  if (!absl::StartsWith(listen, "unix:")) {
    return false;
  }
  std::string path = listen.substr(5);
  if (absl::StartsWith(path, "//")) {
    path = path.substr(2);  // unix:///absolute/path
  }
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return false;  // gRPC refuses it
  }
  path.copy(address.sun_path, path.size());
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) {
    return false;
  }
  const bool answered =
      connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(probe);
  return answered;
}

std::string BoundAddress(const std::string& listen, int port) {
  if (absl::StartsWith(listen, "unix:")) {
    return listen;
  }
  return absl::StrCat(listen.substr(0, listen.rfind(':')), ":", port);
}

absl::Status CheckDataDir(const std::string& data_dir) {
  if (data_dir.empty()) {
    return absl::OkStatus();
  }
  std::error_code error;
  std::filesystem::create_directories(data_dir, error);
  if (error || !std::filesystem::is_directory(data_dir)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--data-dir is '", data_dir,
                     "', which can't be made: ", error ? error.message() : "it is not a directory",
                     "; accepted: a directory that can be created or exists"));
  }
  return absl::OkStatus();
}

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  return signals;
}

// Keeps the health service at what the jobs say, until a signal asks to stop. Returns the signal.
int ServeUntilSignal(grpc::Server& server, jobs::Jobs& jobs, const telemetry::Logger& log) {
  const sigset_t signals = StopSignals();
  bool serving = jobs.CheckHealth();
  bool canary_reported = false;
  SetHealth(server, serving);
  while (true) {
    // Until it serves, look often: clients wait for it.
    const timespec pause = serving || canary_reported ? timespec{1, 0} : timespec{0, 10'000'000};
    const int signal = sigtimedwait(&signals, nullptr, &pause);
    if (signal > 0) {
      return signal;
    }
    jobs.Retain();
    if (const bool now = jobs.CheckHealth(); now != serving) {
      serving = now;
      SetHealth(server, serving);
      if (!serving) {
        log->error("health: NOT_SERVING, since jobs wait beside workers that don't take them");
      }
    }
    if (jobs.canary_failed() && !std::exchange(canary_reported, true)) {
      log->error(
          "health: NOT_SERVING, since a worker computed a problem of known answer wrongly: this "
          "build or this processor can't be trusted");
    }
  }
}

void LogEnd(const telemetry::Logger& log, const v1::TrainingJob& job) {
  const std::string outcome =
      job.has_error() ? absl::StrCat("FAILED: ", job.error().message())
                      : absl::StrCat(v1::TrainingJob::State_Name(job.state()), ", ",
                                     v1::Termination::Reason_Name(job.termination().reason()),
                                     " after ", job.summary().iterations(), " iterations");
  log->log(job.has_error() ? spdlog::level::err : spdlog::level::info, "ended {}: {}", job.name(),
           telemetry::Escape(outcome));
}

void LogForgotten(const telemetry::Logger& log, const v1::TrainingJob& job,
                  const absl::Status& status) {
  if (!status.ok()) {
    log->error("{} should be forgotten and stays: {}", job.name(),
               telemetry::Escape(std::string{status.message()}));
    return;
  }
  log->info("forgot {}, which ended {}: too old, or the disk needed its room", job.name(),
            absl::FormatTime(absl::FromUnixSeconds(job.end_time().seconds()), absl::UTCTimeZone()));
}

void LogRepair(const telemetry::Logger& log, const v1::TrainingJob& job, jobs::RepairStep step,
               const absl::Status& why) {
  const std::string reason = telemetry::Escape(std::string{why.message()});
  switch (step) {
    case jobs::RepairStep::kBegun:
      log->warn("damaged records of {}: they are being computed again", job.name());
      break;
    case jobs::RepairStep::kDone:
      log->info("damaged records of {}: repaired", job.name());
      break;
    case jobs::RepairStep::kRefused:
      log->error("damaged records of {}: no repair, and what is there is kept: {}", job.name(),
                 reason);
      break;
    case jobs::RepairStep::kPutOff:
      log->warn("damaged records of {}: not repaired now: {}", job.name(), reason);
      break;
  }
}

// Neither a decomposition nor a network's set-up can be interrupted, and a reader may be stuck:
// after the drain's time, and a little for what ends by itself, or at a second signal, the process
// goes without them. Nothing is lost: what was being prepared has not been accepted, and what was
// accepted and acknowledged is on the disk (or was never to outlive the process).
void ExitWhenLate(const telemetry::Logger& log, double drain_seconds) {
  constexpr double kGraceSeconds = 1;
  std::thread([log, seconds = drain_seconds + kGraceSeconds] {
    const sigset_t signals = StopSignals();
    const auto whole = static_cast<time_t>(seconds);
    const timespec pause = {whole, static_cast<decltype(timespec::tv_nsec)>(
                                       1e9 * (seconds - static_cast<double>(whole)))};
    const int signal = sigtimedwait(&signals, nullptr, &pause);
    log->warn(signal > 0 ? "second signal: stopped at once"
                         : "stopped without waiting for what did not end by itself");
    log->flush();
    _exit(0);
  }).detach();
}

void SayHello(const telemetry::Logger& log, const ServerOptions& options,
              const jobs::JobsOptions& jobs_options) {
  log->info("polyakd " POLYAK_VERSION ": {} workers, {:.0f} MiB for jobs, queue of {}",
            jobs_options.workers, jobs_options.limits.memory_bytes / kBytesPerMebibyte,
            jobs_options.queue_capacity);
  if (options.data_dir.empty()) {
    log->warn(
        "without --data-dir jobs are kept in memory: they don't survive a restart of this server");
  } else {
    log->info("jobs and records are kept in {}", telemetry::Escape(options.data_dir));
  }
  if (!IsLoopback(options.listen)) {
    log->warn(
        "listening beyond this machine without authentication and without TLS, as "
        "--allow-unauthenticated asks");
  }
}

// Watches, connections and open traces are file descriptors: as many as the machine lets this
// process have. Returns how many.
int64_t RaiseDescriptorLimit() {
  constexpr rlim_t kUsual = 1024;
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return kUsual;
  }
  const rlim_t before = std::exchange(limit.rlim_cur, limit.rlim_max);
  const rlim_t now = setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : before;
  return static_cast<int64_t>(std::min<rlim_t>(now, 1 << 30));  // there may be no limit
}

int Refuse(const absl::Status& status) {
  std::cerr << "polyakd: " << status.message() << "\n";
  return 1;
}

}  // namespace

void BlockSignals() {
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

int Serve(const ServerOptions& options) {
  // In this order: a refused address leaves no folder behind.
  if (const absl::Status status = CheckListenAddress(options); !status.ok()) {
    return Refuse(status);
  }
  if (const absl::Status status = CheckDisk(options); !status.ok()) {
    return Refuse(status);
  }
  if (const absl::Status status = CheckDataDir(options.data_dir); !status.ok()) {
    return Refuse(status);
  }
  const auto log = telemetry::MakeLogger(options.log_level);
  if (!log.ok()) {
    return Refuse(log.status());
  }
  const int64_t descriptors = RaiseDescriptorLimit();
  engine::BuiltInDatasets();  // parsed now, not at the first request
  jobs::JobsOptions jobs_options = MakeJobsOptions(options);
  jobs_options.group_max = jobs::GroupMax(descriptors, jobs_options.workers);
  jobs_options.build = base::BuildName();
  jobs_options.processor = engine::ProcessorClass();
  jobs_options.on_end = [&log](const v1::TrainingJob& job) { LogEnd(*log, job); };
  jobs_options.on_forget = [&log](const v1::TrainingJob& job, const absl::Status& status) {
    LogForgotten(*log, job, status);
  };
  jobs_options.on_repair = [&log](const v1::TrainingJob& job, jobs::RepairStep step,
                                  const absl::Status& why) { LogRepair(*log, job, step, why); };
  jobs_options.on_set_aside = [&log](const std::string& uid, const absl::Status& status) {
    (*log)->warn("the catalogue knows no job for the files {}.*: {}", telemetry::Escape(uid),
                 status.ok() ? "set aside in the folder lost of the data directory"
                             : telemetry::Escape(std::string{status.message()}));
  };
  base::SystemClock clock;
  auto stores = OpenStores(options, clock, *log);
  if (!stores.ok()) {
    return Refuse(stores.status());
  }
  jobs::Datasets::Options datasets_options;
  datasets_options.limits = jobs_options.limits;
  datasets_options.bytes_max = options.datasets_mebibytes << 20;
  jobs::Datasets datasets(datasets_options, *stores->datasets, *stores->jobs, clock);
  if (const absl::Status status = datasets.Load(); !status.ok()) {
    return Refuse(status);
  }
  jobs_options.limits.datasets = &datasets;
  jobs::Jobs jobs(jobs_options, *stores->jobs, *stores->runs, clock);
  const auto recovered = jobs.Recover();
  if (!recovered.ok()) {
    return Refuse(recovered.status());
  }
  service::ServiceOptions service_options;
  service_options.max_watchers = options.max_watchers;
  service_options.max_message_bytes = options.max_message_mebibytes << 20;
  service_options.disk_reserve_bytes =
      options.data_dir.empty() ? 0 : options.disk_reserve_mebibytes << 20;
  service_options.dataset_bytes = datasets_options.bytes_max;
  service::TrainingService training(jobs, clock, service_options, *log);
  service::DatasetService uploads(datasets, jobs);
  int port = 0;
  const std::unique_ptr<grpc::Server> server =
      IsServedAlready(options.listen) ? nullptr : StartGrpc(options, training, uploads, port);
  if (server == nullptr) {
    return Refuse(absl::UnavailableError(
        absl::StrCat("can't listen on ", options.listen,
                     absl::StartsWith(options.listen, "unix:")
                         ? ": another server has it, its folder can't be written, or the path is "
                           "longer than 107 bytes"
                         : ": the address is not of this machine, or something else has it")));
  }
  SayHello(*log, options, jobs_options);
  if (*recovered > 0) {
    (*log)->info("{} unfinished jobs go on", *recovered);
  }
  if (const absl::Status room = stores->runs->CheckRoom(); !room.ok()) {
    (*log)->warn("no job is accepted or goes on until there is room (--disk-reserve, --disk): {}",
                 telemetry::Escape(std::string{room.message()}));
  }
  std::cout << "grpc " << BoundAddress(options.listen, port) << std::endl;

  const int signal = ServeUntilSignal(*server, jobs, *log);
  (*log)->info("signal {}: draining", signal);
  SetHealth(*server, false);
  jobs.Drain();
  ExitWhenLate(*log, options.drain_seconds);
  server->Shutdown(std::chrono::system_clock::now() +
                   std::chrono::milliseconds(static_cast<int64_t>(options.drain_seconds * 1000)));
  (*log)->info("stopped");
  return 0;
}

}  // namespace polyak::server
