// What a durable job costs the catalogue: inserts a second on the machine's own disk, each with a
// sync of its own and in groups, and a start with many ended jobs.

#include <algorithm>
#include <latch>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/posix_file_system.h"
#include "server/storage/catalogue/sqlite_job_store.h"
#include "tests/support/temporary_folder.h"

namespace polyak::bench {
namespace {

// About 1 kB, as a job of a few fields has.
storage::JobSnapshot MakeJob(int64_t number, bool ended) {
  auto job = std::make_shared<v1::TrainingJob>();
  job->set_name(absl::StrCat("trainingJobs/job-", number));
  job->set_uid(absl::StrCat("uid-", number));
  job->set_display_name(std::string(800, 'x'));
  if (ended) {
    job->mutable_end_time()->set_seconds(number + 1);
  }
  return job;
}

std::unique_ptr<storage::SqliteJobStore> Open(base::FileSystem& files, const base::Clock& clock,
                                              const std::string& folder, int batch_max) {
  storage::SqliteJobStore::Options options;
  options.directory = folder;
  options.batch_max = batch_max;
  auto store = storage::SqliteJobStore::Open(files, clock, options);
  POLYAK_CHECK(store.ok());
  return *std::move(store);
}

// Inserts jobs, 256 of them on their way at any time.
void InsertAll(storage::JobStore& store, int64_t first, int64_t count, bool ended) {
  constexpr int64_t kAtOnce = 256;
  for (int64_t begin = first; begin < first + count; begin += kAtOnce) {
    const int64_t end = std::min(begin + kAtOnce, first + count);
    std::latch stored(end - begin);
    for (int64_t number = begin; number < end; ++number) {
      store.Insert(MakeJob(number, ended), {}, [&stored](const absl::Status& status) {
        POLYAK_CHECK(status.ok());
        stored.count_down();
      });
    }
    stored.wait();
  }
}

void Inserts(benchmark::State& state) {
  const auto batch_max = static_cast<int>(state.range(0));
  const int64_t jobs = batch_max == 1 ? 2048 : 16'384;
  base::PosixFileSystem files;
  const base::SystemClock clock;
  for (auto _ : state) {
    state.PauseTiming();
    const testing_support::TemporaryFolder folder;
    auto store = Open(files, clock, folder.path(), batch_max);
    state.ResumeTiming();
    InsertAll(*store, 0, jobs, false);
    state.PauseTiming();
    store.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * jobs);
}
BENCHMARK(Inserts)->ArgName("group")->Arg(1)->Arg(256)->UseRealTime()->Unit(
    benchmark::kMillisecond);

// To the point where a server knows its unfinished jobs and whose files are orphans.
void StartWithEndedJobs(benchmark::State& state) {
  base::PosixFileSystem files;
  const base::SystemClock clock;
  const testing_support::TemporaryFolder folder;
  InsertAll(*Open(files, clock, folder.path(), 256), 0, state.range(0), true);
  for (auto _ : state) {
    const auto store = Open(files, clock, folder.path(), 256);
    POLYAK_CHECK(store->LoadUnfinished()->empty());
    POLYAK_CHECK(static_cast<int64_t>(store->LoadUids()->size()) == state.range(0));
  }
}
BENCHMARK(StartWithEndedJobs)->Arg(100'000)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace polyak::bench
