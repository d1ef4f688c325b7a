#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/commands/commands.h"

namespace polyak::cli {
namespace {

// What people look at first in a matrix of up to 10^8 values.
struct MatrixSummary {
  double squared_norm = 0;
  double min = std::numeric_limits<double>::infinity();
  double max = -std::numeric_limits<double>::infinity();
};

// Takes the values of all matrices in order, as they come.
class Places {
 public:
  explicit Places(const Context& context) : csv_(context.output == OutputFormat::kCsv) {}

  void Add(const v1::ReadParametersResponse& block) {
    if (block.matrices_size() > 0) {
      matrices_.assign(block.matrices().begin(), block.matrices().end());
      summaries_.resize(matrices_.size());
      if (csv_) {
        std::cout << "matrix,row,column,value\n";
      }
    }
    for (const double value : block.values()) {
      AddValue(value);
    }
  }

  std::string Table(const std::string& job, int64_t iteration) const {
    TextTable table;
    table.titles = {"matrix", "rows", "columns", "Frobenius norm", "smallest", "largest"};
    for (size_t k = 0; k < matrices_.size(); ++k) {
      const MatrixSummary& summary = summaries_[k];
      table.rows.push_back({matrices_[k].name(), absl::StrCat(matrices_[k].rows()),
                            absl::StrCat(matrices_[k].cols()),
                            ShortNumber(std::sqrt(summary.squared_norm)), ShortNumber(summary.min),
                            ShortNumber(summary.max)});
    }
    return absl::StrCat(job, " at iteration ", iteration, "\n", FormatTable(table));
  }

 private:
  void AddValue(double value) {
    if (matrix_ == matrices_.size()) {
      return;  // more values than the server announced
    }
    const v1::ParameterMatrix& matrix = matrices_[matrix_];
    if (csv_) {
      std::cout << matrix.name() << ',' << row_ << ',' << column_ << ',' << ExactNumber(value)
                << '\n';
    }
    MatrixSummary& summary = summaries_[matrix_];
    summary.squared_norm += value * value;
    summary.min = std::min(summary.min, value);
    summary.max = std::max(summary.max, value);
    if (++row_ == matrix.rows()) {  // column by column
      row_ = 0;
      if (++column_ == matrix.cols()) {
        column_ = 0;
        ++matrix_;
      }
    }
  }

  const bool csv_;
  std::vector<v1::ParameterMatrix> matrices_;
  std::vector<MatrixSummary> summaries_;
  size_t matrix_ = 0;
  int64_t row_ = 0;
  int64_t column_ = 0;
};

ExitCode Parameters(const Context& context, const std::string& job) {
  const std::string name = client::JobName(job);
  Places places(context);
  int64_t iteration = 0;
  const absl::Status status =
      context.Connect().ReadParameters(name, [&](const v1::ReadParametersResponse& block) {
        iteration = block.iteration();
        if (context.output == OutputFormat::kJson || context.output == OutputFormat::kYaml) {
          PrintMessage(context, block);
        } else {
          places.Add(block);
        }
      });
  if (!status.ok()) {
    return Fail(context, status);
  }
  if (context.output == OutputFormat::kTable) {
    std::cout << places.Table(name, iteration);
  }
  return kSucceeded;
}

}  // namespace

void RegisterParameters(CLI::App& program, const Context& context, Action& action) {
  auto job = std::make_shared<std::string>();
  CLI::App* command =
      program.add_subcommand("parameters", "print the final iterate of an ended job");
  command->add_option("job", *job, "a job's id, or its name trainingJobs/ID")
      ->required()
      ->type_name("JOB");
  command->footer(
      "The table sums up each trained matrix; -o csv prints every value with its place, counted "
      "from 0,\n-o json (yaml) a block of values a line (document), each matrix column by column.\n"
      "Example:\n  polyak parameters my-job -o csv > parameters.csv");
  command->callback(
      [job, &context, &action] { action = [job, &context] { return Parameters(context, *job); }; });
}

}  // namespace polyak::cli
