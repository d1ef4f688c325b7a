#pragma once

#include <array>
#include <cmath>
#include <memory>
#include <string>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "server/engine/trainer/trainer.h"
#include "server/jobs/job.h"
#include "server/spec/parse_training_job.h"
#include "server/storage/memory_trace.h"

namespace polyak::service {

inline constexpr char kPolyak[] =
    "quadratic { spectrum { generated { dimension: 3 condition_number: 10 } } } "
    "optimizer { polyak_momentum {} }";

// A job with rows that a test made up: what a reader answers depends on nothing else.
class StoredJob {
 public:
  explicit StoredJob(const std::string& text = kPolyak) {
    v1::TrainingJobSpec message;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message));
    spec::Violations violations;
    const auto spec = spec::ParseTrainingJobSpec(message, {}, violations);
    interval_ = message.diagnostics_interval();
    trace_ = std::make_shared<storage::MemoryTrace>(
        interval_ > 0 ? int{engine::kDiagnosedTraceColumns} : int{engine::kTraceColumns});
    auto form = std::make_shared<v1::TrainingJob>();
    form->set_name("trainingJobs/a");
    *form->mutable_spec() = message;
    *form->mutable_resolution() = runner::Prepare(*spec, violations)->resolution;
    job_ = std::make_shared<jobs::Job>(form);
    job_->set_trace(trace_);
    EXPECT_TRUE(violations.empty());
  }

  // Appends rows up to `rows` in all, a second each, and publishes them.
  void Publish(int64_t rows) {
    trace_->Reserve(rows - written_);
    while (written_ < rows) {
      std::array<double, engine::kDiagnosedTraceColumns> row;
      row.fill(std::nan(""));
      row[engine::kLoss] = Loss(written_);
      row[engine::kResidualNorm] = ResidualNorm(written_);
      row[engine::kRateEstimate] = RateEstimate(written_);
      if (interval_ > 0 && written_ % interval_ == 0) {
        for (int c = engine::kTraceColumns; c < engine::kDiagnosedTraceColumns; ++c) {
          row.at(static_cast<size_t>(c)) = Diagnostic(c, written_);
        }
      }
      trace_->Append(row);
      ++written_;
    }
    EXPECT_TRUE(trace_->Publish(static_cast<double>(rows - 1)).ok());
  }
  void End() {
    auto form = std::make_shared<v1::TrainingJob>(*job_->snapshot());
    form->mutable_end_time()->set_seconds(1);
    job_->set_snapshot(form);
  }

  static double Loss(int64_t row) { return 1000 - static_cast<double>(row); }
  static double ResidualNorm(int64_t row) { return 2 + static_cast<double>(row); }
  static double RateEstimate(int64_t row) {
    return row < 5 ? std::nan("") : 1 / static_cast<double>(row);
  }

  static double Diagnostic(int column, int64_t row) {
    return column + 0.001 * static_cast<double>(row);
  }

  const std::shared_ptr<jobs::Job>& job() const { return job_; }

 private:
  std::shared_ptr<storage::MemoryTrace> trace_;
  int64_t interval_ = 0;
  std::shared_ptr<jobs::Job> job_;
  int64_t written_ = 0;
};

}  // namespace polyak::service
