#include "client/cli/commands/app.h"

#include <cmath>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <string>

#include "CLI/CLI.hpp"
#include "client/cli/commands/commands.h"
#include "client/cli/context.h"
#include "client/cli/interrupt.h"

namespace polyak::cli {
namespace {

constexpr char kDescription[] =
    "polyak: momentum methods, trained by a server and checked against theory while they run.\n"
    "\n"
    "Two commands to start with:\n"
    "  polyak submit quadratic --kappa 1e4 --optimizer polyak --follow\n"
    "  polyak race relu --first-examples 50\n";

constexpr RegisterCommand kCommands[] = {
    RegisterSubmit,     RegisterWatch,   RegisterWait,    RegisterGet,  RegisterList,
    RegisterCancel,     RegisterDelete,  RegisterPreview, RegisterRace, RegisterPlot,
    RegisterParameters, RegisterDataset, RegisterInfo,    RegisterDemo,
};

// Turns a format's name into its number, as CLI11 reads an enum; its own check lists both.
std::string ToFormatNumber(std::string& text) {
  static const auto& formats =
      *new std::map<std::string, OutputFormat>{{"table", OutputFormat::kTable},
                                               {"json", OutputFormat::kJson},
                                               {"yaml", OutputFormat::kYaml},
                                               {"csv", OutputFormat::kCsv}};
  const auto found = formats.find(CLI::detail::to_lower(text));
  if (found == formats.end()) {
    return "is '" + text + "'; accepted: table, json, yaml, csv";
  }
  text = std::to_string(static_cast<int>(found->second));
  return "";
}

// Ranges let NaN through: every comparison with it is false.
CLI::Validator IsNumber() {
  return CLI::Validator(
      [](const std::string& text) {
        return std::isnan(std::strtod(text.c_str(), nullptr)) ? "is nan; accepted: a number" : "";
      },
      "");
}

void AddGlobalFlags(CLI::App& program, Context& context) {
  program.add_option("--server", context.server, "address of polyakd: HOST:PORT or unix:PATH")
      ->envname("POLYAK_SERVER")
      ->capture_default_str();
  program.add_option("-o,--output", context.output, "table, json (lines), yaml or csv")
      ->transform(CLI::Validator(ToFormatNumber, ""))
      ->type_name("FORMAT")
      ->default_str("table");
  program.add_option("--glyphs", context.glyphs, "of charts: auto, braille or ascii")
      ->check(CLI::IsMember({"auto", "braille", "ascii"}).description(""))
      ->capture_default_str();
  program.add_flag("--no-color", context.no_color, "no colours (NO_COLOR does the same)");
  program.add_flag("-q,--quiet", context.quiet, "nothing on stderr but errors");
  program
      .add_option("--give-up-after", context.give_up_after_seconds,
                  "seconds to go on trying to reach the server without success")
      ->check(CLI::Range(0.0, 1e9))
      ->check(IsNumber())
      ->capture_default_str();
  program.set_config("--config", "", "a TOML file with any of these flags")->type_name("FILE");
  program.allow_config_extras(CLI::config_extras_mode::error);
  program.set_version_flag("--version", "polyak " POLYAK_VERSION);
}

// Of the words that no flag and no command took, the first.
std::string UnknownCommand(const CLI::App& program) {
  std::string text = "polyak: '" + program.remaining().front() + "' is no command; accepted:";
  for (const CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; })) {
    text += " " + command->get_name();
  }
  return text + "\nRun with --help for more information.\n";
}

// What a program that reads our output must know: that it did not get all of it.
int CheckOutput(int code) {
  std::cout.flush();
  if (std::cout.good()) {
    return code;
  }
  std::cerr << "polyak: standard output could not be written: what it holds is not complete\n";
  return kError;
}

}  // namespace

int Run(int argument_count, char** arguments) {
  TakeInterrupts();
  CLI::App program(kDescription, "polyak");
  Context context;
  AddGlobalFlags(program, context);
  program.require_subcommand(1);
  program.fallthrough();
  program.footer(ExitCodeHelp());
  Action action;
  for (const RegisterCommand add : kCommands) {
    add(program, context, action);
  }
  for (CLI::App* command : program.get_subcommands({})) {
    command->fallthrough();
  }
  try {
    program.parse(argument_count, arguments);
  } catch (const CLI::RequiredError& error) {
    if (program.get_subcommands().empty() && program.remaining_size() > 0) {
      std::cerr << UnknownCommand(program);
      return kUsage;
    }
    program.exit(error);
    return kUsage;
  } catch (const CLI::ParseError& error) {
    return CheckOutput(program.exit(error) == 0 ? kSucceeded : kUsage);
  }
  context.terminal = DetectTerminal(context.glyphs, context.no_color);
  try {
    return CheckOutput(action());
  } catch (const std::exception& error) {
    std::cerr << "polyak: " << error.what() << "\n";
    return kError;
  }
}

}  // namespace polyak::cli
