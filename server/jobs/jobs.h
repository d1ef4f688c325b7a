#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <latch>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "polyak/v1/training_service.pb.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/base/worker_pool.h"
#include "server/jobs/job.h"
#include "server/jobs/pulse.h"
#include "server/runner/final_parameters.h"
#include "server/runner/known_problems.h"
#include "server/runner/runner.h"
#include "server/runner/stepped_run.h"
#include "server/spec/limits.h"
#include "server/storage/job_store.h"
#include "server/storage/run_store.h"

namespace polyak::jobs {

// What becomes of the repair of a trace.
enum class RepairStep {
  kBegun,
  kDone,
  kRefused,  // for good, as far as this process knows
  kPutOff,   // the next reader who meets the damage asks for it again
};

struct JobsOptions {
  spec::Limits limits;
  int workers = 1;
  int64_t queue_capacity = 1000;
  // Jobs that a worker runs in step, from 1 to runner::kGroupMax: each has a trace open.
  int64_t group_max = runner::kGroupMax;
  // Who computes here, as Computation has them.
  std::string build;
  std::string processor;
  // How long a job is kept after its end.
  absl::Duration retention = absl::InfiniteDuration();
  // Told of every job that has reached its end, on the worker's thread. May be empty.
  std::function<void(const v1::TrainingJob&)> on_end;
  // Told of every run that Recover found without a job, and whether it could be set aside. May be
  // empty.
  std::function<void(const std::string& uid, const absl::Status& status)> on_set_aside;
  // Told of every job that Retain has forgotten, or, once, could not, since the catalogue is
  // damaged where that would change it: status is DataLoss then. May be empty.
  std::function<void(const v1::TrainingJob&, const absl::Status& status)> on_forget;
  // Told of the repairs of damaged records, on a worker's thread. May be empty.
  //   why: of those that are refused or put off.
  std::function<void(const v1::TrainingJob&, RepairStep step, const absl::Status& why)> on_repair;
};

// The life of all jobs, and the only door to them. Safe from any thread; nothing here waits for a
// computation or a disk: what needs one is answered by a callback, from another thread or before
// the call returns.
class Jobs {
 public:
  using JobDone = std::function<void(absl::StatusOr<storage::JobSnapshot>)>;
  using PreviewDone = std::function<void(absl::StatusOr<v1::PreviewTrainingJobResponse>)>;
  using ListDone = std::function<void(absl::StatusOr<v1::ListTrainingJobsResponse>)>;
  using FindDone = std::function<void(absl::StatusOr<std::shared_ptr<Job>>)>;
  using ParametersDone = std::function<void(absl::StatusOr<runner::FinalParameters>)>;
  using Done = std::function<void(absl::Status)>;

  // Borrows the stores and the clock, which must outlive it, and the stores' callbacks with it.
  Jobs(const JobsOptions& options, storage::JobStore& store, storage::RunStore& runs,
       const base::Clock& clock);
  ~Jobs();

  // Takes up the jobs that an earlier server left unfinished, and sets the records of jobs that
  // are not known aside. Before anything else is called.   Returns how many jobs go on.
  // Errors: of the stores.
  absl::StatusOr<int64_t> Recover();

  // Parses, admits, prepares (on the admission thread) and queues a job.
  // Errors: as documented at TrainingService.CreateTrainingJob.
  void Create(const v1::CreateTrainingJobRequest& request, JobDone done);
  // Everything known before a run; nothing is stored.  Errors: as Create, without those of ids.
  void Preview(const v1::TrainingJobSpec& spec, PreviewDone done);

  // Errors of the five below: InvalidArgument for what is not a name, a filter or a page token;
  // NotFound (JOB_EXPIRED for a job that was deleted or has aged out).
  void Get(const std::string& name, JobDone done);
  void List(const v1::ListTrainingJobsRequest& request, ListDone done);
  // A waiting job ends at once, a running one at its next record; an ended one is answered as it
  // is. The answer comes when the wish is as durable as the job.
  void Cancel(const std::string& name, JobDone done);
  // FailedPrecondition for a job that has not ended. One whose row in the catalogue is damaged is
  // deleted as well, unless this server still has it as unfinished. DataLoss if so much of the
  // catalogue is damaged that it can't be.
  void Delete(const std::string& name, Done done);

  // The snapshot with what is true at this moment alone: jobs_ahead of a job that waits,
  // pause_reason of one that stands still; else the snapshot itself.  Cost: O(queue).
  storage::JobSnapshot WithLiveState(const storage::JobSnapshot& snapshot) const;
  // Where the method stood at the last record of an ended job.
  // Errors: as Find; FailedPrecondition for a job that has not ended, and for one whose parameters
  // were not kept; DataLoss for one whose last checkpoint is damaged, which is then made anew.
  void OpenParameters(const std::string& name, int64_t computed_max, ParametersDone done);
  // The job behind a name, for readers of its records.
  void Find(const std::string& name, FindDone done);
  // Runs a task for a reader on threads of their own, so that neither jobs nor admissions wait for
  // it, nor one that reads records for one that computes a predicted curve. It must not throw.
  void Compute(std::function<void()> task) { curves_.Submit(std::move(task)); }
  void ReadDisk(std::function<void()> task) { disk_.Submit(std::move(task)); }
  Pulse& pulse() { return pulse_; }

  // Forgets ended jobs that have been kept for long enough, and, while the disk is nearly full,
  // those that ended first. Returns at once; to be called about once a second, and not while the
  // object is destroyed.
  void Retain();

  // Stops admission, asks running jobs to stop and wakes every reader. Jobs keep their state: they
  // are not cancelled.
  void Drain();
  bool draining() const { return drain_.stop_requested(); }
  // Whether jobs are taken and run: every worker has trained a small problem to its known end, no
  // job waits beside a free worker, and the server is not draining. To be asked about once a
  // second.
  bool CheckHealth();
  // Whether a worker has computed the small problem wrongly: this build or processor can't be
  // trusted, and CheckHealth stays false.
  bool canary_failed() const { return canaries_failed_ > 0; }
  const JobsOptions& options() const { return options_; }
  bool survives_restart() const { return store_.survives_restart(); }

 private:
  struct Admission;  // one Create on its way through the admission thread

  // Answers a request with these violations, and with those that preparing the rest of it shows.
  void RefuseAll(const v1::TrainingJobSpec& spec, const spec::Violations& violations,
                 std::function<void(absl::Status)> done);
  v1::ListTrainingJobsResponse DescribePage(const storage::ListResult& page,
                                            const std::string& digest) const;
  // Bytes of the memory budget that a job takes: records on a disk take none.
  double MemoryNeeded(const v1::Forecast& forecast) const;
  // InvalidArgument if the job needs more than this server has for all of them.
  absl::Status CheckFits(const v1::Forecast& forecast, spec::Violations& violations) const;
  // The same, and ResourceExhausted if it fits only once others are gone.
  absl::Status ReserveMemory(const v1::Forecast& forecast, spec::Violations& violations);
  void ReleaseMemory(int64_t bytes);
  // The same for as long as the result or a copy of it lives, which must not outlive this.
  absl::StatusOr<std::shared_ptr<const void>> HoldMemory(double bytes);
  absl::Status TakePlace();
  // Registers a request id as on its way. Returns false if it already was: then `done` gets the
  // first one's answer, or an error if that one asked for something else. Otherwise wraps `done` so
  // that whoever came later is answered with it.
  bool BeginRequest(const storage::RequestKey& key, JobDone& done);
  // The answer to a request whose spec can't be parsed now, since its data can't be used.
  void RefuseUnlessAccepted(const v1::CreateTrainingJobRequest& request, const absl::Status& why,
                            JobDone done);
  // The steps of a Create, each on the thread where the one before ended.
  void CheckId(const std::shared_ptr<Admission>& admission);
  void Reserve(const std::shared_ptr<Admission>& admission);
  void Admit(const std::shared_ptr<Admission>& admission);
  void Enqueue(const std::shared_ptr<Admission>& admission,
               std::shared_ptr<const runner::PreparedJob> prepared);
  // Gives back what Create took: a place in the queue, and memory.
  void GiveBack(const Admission& admission);
  // The unfinished job of that name, or null.
  std::shared_ptr<Job> FindUnfinished(const std::string& name) const;
  // Keeps an ended job findable for as long as somebody reads it.  Cost: amortized O(1).
  void NoteOpened(const std::string& name, const std::shared_ptr<Job>& job)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // An ended job for its readers: the one that other readers have, or a new one with its trace.
  absl::StatusOr<std::shared_ptr<Job>> OpenEnded(const storage::JobSnapshot& snapshot);
  // What readers of an ended job's records read: `trace`, which tells of damage.
  std::shared_ptr<const storage::TraceReader> Guarded(
      const storage::JobSnapshot& job, std::shared_ptr<const storage::TraceReader> trace,
      int repaired);
  // Sees to it that damaged records of an ended job, and its last checkpoint, are computed again,
  // once. Returns the error with what becomes of it; other errors, and those with details, as they
  // are.
  //   repaired: how often they had been when the file was opened.
  absl::Status NoteDamage(const storage::JobSnapshot& job, int repaired, const absl::Status& error);
  int TimesRepaired(const std::string& uid) const;
  // The next repair, if a worker has nothing better to do: one at a time, and given up when a job
  // would have to wait for it.
  void RepairNext();
  absl::Status Repair(const v1::TrainingJob& job, const base::StopToken& stop);
  // Room for a repair within what all jobs may take: the jobs that ended first go, never this one.
  // Waits for the disk.
  //   Errors: FailedPrecondition if there never is; ResourceExhausted if there is none now, and
  //   then no job has gone in vain; Cancelled; those of the stores.
  absl::Status MakeRoomToRepair(const v1::TrainingJob& job, const base::StopToken& stop);
  // Of Retain's chain, or in its place: forgets the job that ended first, but for one.
  //   Errors: ResourceExhausted if there is none, or its files can't be removed; those of the
  //   store.
  absl::Status ForgetFirstEnded(const std::string& but_uid);
  void EndRepair(const storage::JobSnapshot& job, const absl::Status& status);
  // Gives a repair up that a waiting job needs the worker of.
  void MakeWay() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // No repair of a job that is gone.
  void ForgetRepair(const std::string& uid) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Removes an ended job for good, then its files. `done` gets the errors of the two.
  using ForgetDone =
      std::function<void(const absl::Status& forgotten, const absl::Status& removed)>;
  void Forget(const storage::JobSnapshot& job, ForgetDone done);
  // The same for a job whose row is damaged.
  //   known_uid: as far as it is known, else "": then the row's is taken if it looks like one.
  //   Files of a uid that can't be read are orphans, which the next start sets aside.
  //   why: the answer if the row is whole all the same; OK: that it is gone.
  void ForgetDamaged(const std::string& name, const std::string& known_uid, const absl::Status& why,
                     Done done);
  bool IsUnfinishedUid(const std::string& uid) const;
  // Retain's chain: ends with EndRetain, which ~Jobs waits for.
  void RetainNext();
  void EndRetain();
  bool MustGo(const v1::TrainingJob& job) const;
  // The files of a job that was forgotten could not be removed, or could.
  int64_t CountUnforgettable() const;
  void NoteUnforgettable(const storage::JobSnapshot& job, const absl::Status& why);
  void NoteForgotten(const storage::JobSnapshot& job, const absl::Status& removed);
  // Tries again to remove the files of a forgotten job that could not be removed.
  void RemoveStuckFiles();
  void CancelUnfinished(const std::shared_ptr<Job>& job, JobDone done);
  // Has a worker do it, unless the server is about to go.
  void Schedule(void (Jobs::*work)()) ABSL_LOCKS_EXCLUDED(mutex_);
  // Back to the head of the queue.
  void Requeue(const std::shared_ptr<Job>& job);
  void TakeUp(const storage::StoredJob& stored);
  void OpenRecords(Job& job);
  absl::Status SweepOrphans();
  // Has every worker, all at once, train the canary.
  void RunCanaries();
  // The head of the queue, with the jobs behind it that may run in step with it (GroupKey): only
  // those that nothing else waits before, so that no job is overtaken.
  std::vector<std::shared_ptr<Job>> TakeGroup() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunNext();
  // Runs these jobs to their ends: each as if it were alone, its waits and new attempts included,
  // but for the product that those in step have in common.
  void RunGroup(const std::vector<std::shared_ptr<Job>>& group);
  // The stages of a job of a group. None of them waits: `wakes_at` says when to call again.
  struct Member;
  // What is to be done between slices. The preparation of many members does not hold those up that
  // run: it is divided among passes.
  void AdvanceMembers(const std::vector<std::unique_ptr<Member>>& members);
  void Advance(Member& member);
  bool EndUnlessWanted(Member& member);
  void BeginMember(Member& member);
  void OpenMember(Member& member);
  // Behind all others, after a while, a job whose data can't be read now: no worker waits for it.
  void PutBack(Member& member);
  void NoteSlice(const std::vector<std::unique_ptr<Member>>& members);
  void EndRun(Member& member, absl::StatusOr<runner::RunResult> result);
  void StoreEnd(Member& member);
  void LookForEnd(Member& member);
  // Until there is something to do for one of them.
  void WaitForAny(const std::vector<std::unique_ptr<Member>>& members);
  // Adds who computes from here on. Returns false if that is who did before.
  bool AddComputation(const Job& job, v1::TrainingJob& form) const;
  // Ends a job once its final form is durable; if it can't be, changes nothing. `done` is told.
  void Finish(const std::shared_ptr<Job>& job, v1::TrainingJob final_form, Done done);
  void AccountEnd(const std::shared_ptr<Job>& job, const v1::TrainingJob& final_form);
  google::protobuf::Timestamp Now() const;

  const JobsOptions options_;
  storage::JobStore& store_;
  storage::RunStore& runs_;
  const base::Clock& clock_;
  runner::KnownProblems known_;
  base::StopToken drain_;
  int records_opened_ = 0;  // by Recover
  std::atomic<int> canaries_passed_ = 0;
  std::atomic<int> canaries_failed_ = 0;
  std::latch all_workers_up_;
  int unresponsive_checks_ = 0;  // in a row; of the thread that calls CheckHealth

  mutable base::Mutex mutex_;
  // By name: those that have not ended, and of the ended ones those that somebody reads.
  std::unordered_map<std::string, std::shared_ptr<Job>> unfinished_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<std::string, std::weak_ptr<Job>> opened_ ABSL_GUARDED_BY(mutex_);
  size_t opened_swept_at_ ABSL_GUARDED_BY(mutex_) = 64;  // entries at which the dead ones go
  // Memory that ended jobs hold, by uid, where runs are kept in memory.
  std::unordered_map<std::string, int64_t> kept_bytes_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Job>> queue_ ABSL_GUARDED_BY(mutex_);
  int64_t places_taken_ ABSL_GUARDED_BY(mutex_) = 0;  // queued, and on their way into the queue
  // Request ids on their way, with those who wait for the same answer.
  struct PendingRequest {
    std::string payload;
    std::vector<JobDone> followers;
  };
  std::unordered_map<std::string, PendingRequest> pending_requests_ ABSL_GUARDED_BY(mutex_);
  double reserved_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  int running_ ABSL_GUARDED_BY(mutex_) = 0;  // workers that have jobs
  std::unordered_map<std::string, int> groups_running_ ABSL_GUARDED_BY(mutex_);  // by group key
  // The repair of damaged records that somebody has met.
  struct RepairState {
    bool under_way = false;  // or waits for its turn
    bool refused = false;    // for good
    std::string why;         // it is refused, or was put off the last time
  };
  std::unordered_map<std::string, RepairState> repairs_ ABSL_GUARDED_BY(mutex_);  // by uid
  // How often records were repaired, by uid: who still reads the file before starts no other
  // repair.
  std::unordered_map<std::string, int> repaired_ ABSL_GUARDED_BY(mutex_);
  std::deque<storage::JobSnapshot> repair_queue_ ABSL_GUARDED_BY(mutex_);
  std::string repairing_ ABSL_GUARDED_BY(mutex_);                         // the uid; empty: none
  std::shared_ptr<base::StopToken> repair_stop_ ABSL_GUARDED_BY(mutex_);  // of that one, else null
  bool retaining_ ABSL_GUARDED_BY(mutex_) = false;
  base::CondVar retained_;  // retaining_ is false again
  // Of a forgotten job whose files could not be removed: until they are, none is forgotten for its
  // room. Empty: there is none.
  std::string stuck_uid_ ABSL_GUARDED_BY(mutex_);
  // Jobs that a damaged catalogue does not let go: others go in their place.
  std::unordered_set<std::string> unforgettable_uids_ ABSL_GUARDED_BY(mutex_);

  Pulse pulse_;
  // Goes between the threads that ask the store and everything that the store's answers touch:
  // waits until all of them have come.
  struct StoreFence {
    storage::JobStore& store;
    ~StoreFence();
  };
  StoreFence fence_;
  base::WorkerPool workers_;
  // Eigenvalues for Create and Preview, so that long jobs never hold them up. Last, so that it is
  // gone before what its tasks use; likewise the readers' threads.
  base::WorkerPool admission_;
  base::WorkerPool curves_;
  base::WorkerPool disk_;
};

}  // namespace polyak::jobs
