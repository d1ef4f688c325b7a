#include "server/storage/catalogue/sqlite_job_store.h"

#include <latch>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/check.h"
#include "server/base/overloaded.h"
#include "server/base/status_macros.h"
#include "server/storage/sha256.h"

namespace polyak::storage {
namespace {

// Jobs that a list reads before it lets changes through: a few milliseconds.
constexpr int64_t kListRowsAtOnce = 512;

void Publish(SnapshotCache& cache, const Change& change) {
  std::visit(base::Overloaded{
                 [&](const InsertJob& insert) { cache.Put(insert.job); },
                 [&](const UpdateJob& update) { cache.Put(update.job); },
                 [](const CancelJob& /*cancel*/) {},
                 [&](const RemoveJob& remove) { cache.Erase(remove.name); },
                 [&](const RemoveDamagedJob& remove) { cache.Erase(remove.name); },
             },
             change);
}

struct Listing {
  ListPage page;
  ListResult result;
  ListDone done;
};

void GoOn(CatalogueThread& thread, std::shared_ptr<Listing> listing) {
  thread.Submit(
      [&thread, listing = std::move(listing)](Queries* queries, const absl::Status& broken) {
        if (queries == nullptr) {
          return listing->done(broken);
        }
        const auto finished = queries->ListSome(listing->page, kListRowsAtOnce, listing->result);
        if (!finished.ok()) {
          return listing->done(finished.status());
        }
        if (*finished) {
          return listing->done(std::move(listing->result));
        }
        GoOn(thread, listing);
      });
}

}  // namespace

SqliteJobStore::SqliteJobStore(std::unique_ptr<Connection> connection, const base::Clock& clock,
                               int64_t cache_bytes)
    : clock_(clock),
      connection_(std::move(connection)),
      cache_(std::make_unique<SnapshotCache>(cache_bytes)) {}

absl::StatusOr<std::unique_ptr<SqliteJobStore>> SqliteJobStore::Open(base::FileSystem& files,
                                                                     const base::Clock& clock,
                                                                     Options options) {
  POLYAK_CHECK(options.batch_max >= 1);
  POLYAK_ASSIGN_OR_RETURN(
      std::unique_ptr<Connection> connection,
      Connection::Open(files, absl::StrCat(options.directory, "/", options.file_name),
                       options.checkpoint_pages));
  std::unique_ptr<SqliteJobStore> store(
      new SqliteJobStore(std::move(connection), clock, options.cache_bytes));
  SnapshotCache& cache = *store->cache_;
  CatalogueThread::Options thread_options;
  thread_options.batch_max = options.batch_max;
  thread_options.on_commit = [&cache](const Change& change) { Publish(cache, change); };
  thread_options.on_damage = std::move(options.on_damage);
  thread_options.on_broken = std::move(options.on_broken);
  Connection& borrowed = *store->connection_;
  POLYAK_RETURN_IF_ERROR(borrowed.Try([&] {
    store->thread_ = std::make_unique<CatalogueThread>(borrowed, clock, std::move(thread_options));
    return absl::OkStatus();
  }));
  return store;
}

void SqliteJobStore::Insert(JobSnapshot job, const RequestKey& key, Done done) {
  InsertJob insert{job, MakeJobRow(*job), key.request_id,
                   key.request_id.empty() ? "" : Sha256(key.payload)};
  thread_->Submit(std::move(insert), std::move(done));
}

void SqliteJobStore::Update(JobSnapshot job, Done done) {
  UpdateJob update{job, MakeJobRow(*job)};
  thread_->Submit(std::move(update), std::move(done));
}

void SqliteJobStore::RequestCancel(const std::string& name, Done done) {
  thread_->Submit(CancelJob{name}, std::move(done));
}

void SqliteJobStore::Remove(const std::string& name, const std::string& uid, Done done) {
  thread_->Submit(RemoveJob{name, uid}, std::move(done));
}

void SqliteJobStore::RemoveDamaged(const std::string& name, RemoveDamagedDone done) {
  auto uid = std::make_shared<std::string>();
  thread_->Submit(RemoveDamagedJob{name, uid}, [uid, done = std::move(done)](absl::Status status) {
    status.ok() ? done(*uid) : done(std::move(status));
  });
}

void SqliteJobStore::Get(const std::string& name, GetDone done) const {
  if (JobSnapshot job = cache_->Find(name); job != nullptr && thread_->status().ok()) {
    return done(std::move(job));
  }
  thread_->Submit(
      [this, name, done = std::move(done)](Queries* queries, const absl::Status& broken) {
        if (queries == nullptr) {
          return done(broken);
        }
        // On the thread that publishes changes: what was read can't be older than what is there.
        auto job = queries->Get(name, clock_.WallTime());
        if (job.ok()) {
          cache_->Put(*job);
        }
        done(std::move(job));
      });
}

void SqliteJobStore::FindRequest(const RequestKey& key, GetDone done) const {
  if (key.request_id.empty()) {
    return done(JobSnapshot());
  }
  thread_->Submit([this, id = key.request_id, payload_sha256 = Sha256(key.payload),
                   done = std::move(done)](Queries* queries, const absl::Status& broken) {
    done(queries == nullptr ? broken : queries->FindRequest(id, payload_sha256, clock_.WallTime()));
  });
}

void SqliteJobStore::List(const ListPage& page, ListDone done) const {
  GoOn(*thread_, std::make_shared<Listing>(Listing{page, {}, std::move(done)}));
}

void SqliteJobStore::ListEnded(int64_t limit, ListDone done) const {
  thread_->Submit([limit, done = std::move(done)](Queries* queries, const absl::Status& broken) {
    done(queries == nullptr ? broken : queries->ListEnded(limit));
  });
}

void SqliteJobStore::FindDatasetUse(const std::string& dataset, DatasetUseDone done) const {
  thread_->Submit([dataset, done = std::move(done)](Queries* queries, const absl::Status& broken) {
    done(queries == nullptr ? broken : queries->FindDatasetUse(dataset));
  });
}

template <typename Answer>
absl::StatusOr<Answer> SqliteJobStore::Load(
    const std::function<absl::StatusOr<Answer>(Queries&)>& read) {
  absl::StatusOr<Answer> answer;
  std::latch answered(1);
  thread_->Submit([&](Queries* queries, const absl::Status& broken) {
    answer = queries == nullptr ? broken : read(*queries);
    answered.count_down();
  });
  answered.wait();
  return answer;
}

absl::StatusOr<std::vector<StoredJob>> SqliteJobStore::LoadUnfinished() {
  return Load<std::vector<StoredJob>>([this](Queries& queries) {
    auto unfinished = queries.LoadUnfinished();
    if (unfinished.ok()) {
      for (const StoredJob& stored : *unfinished) {
        cache_->Put(stored.job);
      }
    }
    return unfinished;
  });
}

absl::StatusOr<std::vector<std::string>> SqliteJobStore::LoadUids() {
  return Load<std::vector<std::string>>([](Queries& queries) { return queries.LoadUids(); });
}

}  // namespace polyak::storage
