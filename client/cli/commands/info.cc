#include <iostream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "client/cli/commands/commands.h"

namespace polyak::cli {
namespace {

ExitCode Info(const Context& context) {
  const auto info = context.Connect().ServerInfo();
  if (!info.ok()) {
    return Fail(context, info.status());
  }
  if (context.output == OutputFormat::kJson) {
    std::cout << ToJson(*info, true) << "\n";
    return kSucceeded;
  }
  if (context.output == OutputFormat::kYaml) {
    return PrintMessage(context, *info);
  }
  TextTable table;
  table.titles = {"server", context.server};
  const auto add = [&table](std::string name, std::string value) {
    table.rows.push_back({std::move(name), std::move(value)});
  };
  add("version", info->version());
  add("build", info->build());
  add("jobs survive a restart", info->jobs_survive_restart() ? "yes" : "no");
  for (const int plan : info->plans()) {
    add("plan",
        std::string(absl::StripPrefix(v1::ExecutionPlan_Name(static_cast<v1::ExecutionPlan>(plan)),
                                      "EXECUTION_PLAN_")));
  }
  const auto& limits = info->limits();
  add("workers", absl::StrCat(limits.workers()));
  add("queue", absl::StrCat(limits.queue_capacity()));
  add("memory", absl::StrFormat("%.4g GB", static_cast<double>(limits.memory_bytes()) / 1e9));
  if (info->jobs_survive_restart()) {
    add("disk for jobs",
        limits.disk_bytes() > 0
            ? absl::StrFormat("%.4g GB", static_cast<double>(limits.disk_bytes()) / 1e9)
            : "all but the reserve");
    add("disk kept free",
        absl::StrFormat("%.4g GB", static_cast<double>(limits.disk_reserve_bytes()) / 1e9));
  }
  add("data sets that were sent",
      absl::StrFormat("up to %.4g GB", static_cast<double>(limits.dataset_bytes()) / 1e9));
  add("ended jobs are kept",
      limits.has_retention()
          ? absl::StrFormat("%.4g days", static_cast<double>(limits.retention().seconds()) / 86400)
          : "for ever");
  add("iterations at most", absl::StrCat(limits.max_iterations()));
  add("width at most", absl::StrCat(limits.max_width()));
  for (const auto& dataset : info->built_in_datasets()) {
    add(dataset.name(),
        absl::StrCat(dataset.examples(), " x ", dataset.input_dimension(), ", ",
                     dataset.output_dimension(), " target column(s): ", dataset.description()));
  }
  std::cout << (context.output == OutputFormat::kCsv ? FormatCsv(table) : FormatTable(table));
  return kSucceeded;
}

}  // namespace

void RegisterInfo(CLI::App& program, const Context& context, Action& action) {
  CLI::App* command =
      program.add_subcommand("info", "what the server is: version, limits, plans, data sets");
  command->callback([&context, &action] { action = [&context] { return Info(context); }; });
}

}  // namespace polyak::cli
