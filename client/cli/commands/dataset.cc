#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "client/cli/commands/commands.h"
#include "client/cli/number_table.h"

namespace polyak::cli {
namespace {

struct SendFlags {
  std::string file;
  int64_t targets = 1;
  std::string display_name;
};

// Features first, then targets: each row of the table holds both.
std::vector<double> Rearranged(const NumberTable& table, int64_t inputs) {
  std::vector<double> values;
  values.reserve(table.values.size());
  for (const bool targets : {false, true}) {
    for (int64_t row = 0; row < table.rows; ++row) {
      const auto begin = table.values.begin() + row * table.columns;
      values.insert(values.end(), targets ? begin + inputs : begin,
                    targets ? begin + table.columns : begin + inputs);
    }
  }
  return values;
}

std::string Created(const v1::StoredDataset& dataset) {
  return dataset.has_create_time()
             ? absl::FormatTime("%Y-%m-%d %H:%M",
                                absl::FromUnixSeconds(dataset.create_time().seconds()),
                                absl::UTCTimeZone())
             : "ships with the server";
}

ExitCode Print(const Context& context, const v1::StoredDataset& dataset) {
  if (context.output == OutputFormat::kJson || context.output == OutputFormat::kYaml) {
    return PrintMessage(context, dataset);
  }
  TextTable table;
  table.titles = {"data set", dataset.name()};
  table.rows = {{"examples", absl::StrCat(dataset.examples())},
                {"features", absl::StrCat(dataset.input_dimension())},
                {"targets", absl::StrCat(dataset.output_dimension())},
                {"called", dataset.display_name()},
                {"stored", Created(dataset)},
                {"sha256", dataset.sha256()},
                {"description", dataset.description()}};
  std::erase_if(table.rows, [](const auto& row) { return row[1].empty(); });
  std::cout << (context.output == OutputFormat::kCsv ? FormatCsv(table) : FormatTable(table));
  return kSucceeded;
}

ExitCode Send(const Context& context, const SendFlags& flags) {
  const auto table = ReadNumberTable(flags.file);
  if (!table.ok()) {
    return Fail(context, table.status());
  }
  if (flags.targets >= table->columns) {
    return Fail(context, absl::InvalidArgumentError(absl::StrCat(
                             "--targets is ", flags.targets, ", and the data have ", table->columns,
                             " columns; accepted: at least one column less")));
  }
  const int64_t inputs = table->columns - flags.targets;
  v1::DatasetHeader header;
  header.set_examples(table->rows);
  header.set_input_dimension(inputs);
  header.set_output_dimension(flags.targets);
  header.set_display_name(flags.display_name);
  const auto stored = context.Connect().SendDataset(header, Rearranged(*table, inputs));
  return stored.ok() ? Print(context, *stored) : Fail(context, stored.status());
}

ExitCode List(const Context& context) {
  client::Client client = context.Connect();
  TextTable table;
  table.titles = {"data set", "examples", "features", "targets", "stored", "called"};
  v1::ListDatasetsRequest request;
  do {
    const auto page = client.ListDatasets(request);
    if (!page.ok()) {
      return Fail(context, page.status());
    }
    for (const v1::StoredDataset& dataset : page->datasets()) {
      if (context.output == OutputFormat::kJson || context.output == OutputFormat::kYaml) {
        PrintMessage(context, dataset);
      }
      table.rows.push_back({dataset.name(), absl::StrCat(dataset.examples()),
                            absl::StrCat(dataset.input_dimension()),
                            absl::StrCat(dataset.output_dimension()), Created(dataset),
                            dataset.display_name()});
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  if (context.output == OutputFormat::kTable) {
    std::cout << FormatTable(table);
  } else if (context.output == OutputFormat::kCsv) {
    std::cout << FormatCsv(table);
  }
  return kSucceeded;
}

void AddSend(CLI::App& datasets, const Context& context, Action& action) {
  auto flags = std::make_shared<SendFlags>();
  CLI::App* command = datasets.add_subcommand(
      "send", "send a table of numbers to the server once, for any number of jobs");
  command
      ->add_option(
          "file", flags->file,
          "an example a line: features, then targets, with decimal points, separated by commas, "
          "semicolons, tabs or blanks, one of them throughout; a first line without numbers is "
          "taken for titles; - reads standard input")
      ->required()
      ->type_name("FILE");
  command->add_option("--targets", flags->targets, "how many of the last columns are targets")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
  command->add_option("--called", flags->display_name, "what to call it in lists");
  command->callback(
      [flags, &context, &action] { action = [flags, &context] { return Send(context, *flags); }; });
}

CLI::App* AddNamed(CLI::App& datasets, const char* name, const char* description,
                   const std::shared_ptr<std::string>& dataset) {
  CLI::App* command = datasets.add_subcommand(name, description);
  command->add_option("dataset", *dataset, "its name datasets/ID, or the id alone")
      ->required()
      ->type_name("DATASET");
  return command;
}

}  // namespace

void RegisterDataset(CLI::App& program, const Context& context, Action& action) {
  CLI::App* datasets = program.add_subcommand(
      "dataset", "data sets on the server: send, list, get, delete; name one with --dataset");
  datasets->require_subcommand(1);
  AddSend(*datasets, context, action);
  datasets->add_subcommand("list", "print all data sets that specs can name")
      ->callback([&context, &action] { action = [&context] { return List(context); }; });
  auto dataset = std::make_shared<std::string>();
  AddNamed(*datasets, "get", "print one data set", dataset)->callback([dataset, &context, &action] {
    action = [dataset, &context] {
      const auto found = context.Connect().GetDataset(client::DatasetName(*dataset));
      return found.ok() ? Print(context, *found) : Fail(context, found.status());
    };
  });
  AddNamed(*datasets, "delete", "remove a data set that no job refers to", dataset)
      ->callback([dataset, &context, &action] {
        action = [dataset, &context] {
          const absl::Status deleted =
              context.Connect().DeleteDataset(client::DatasetName(*dataset));
          return deleted.ok() ? kSucceeded : Fail(context, deleted);
        };
      });
}

}  // namespace polyak::cli
