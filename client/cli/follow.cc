#include "client/cli/follow.h"

#include <chrono>
#include <cmath>
#include <iostream>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/interrupt.h"
#include "client/plot/envelope.h"
#include "client/plot/semilog_chart.h"

namespace polyak::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr auto kRedrawPause = std::chrono::milliseconds(100);
constexpr auto kPlainLinePause = std::chrono::seconds(1);

// The first `columns` characters of a line; colours pass whole, and are switched off at a cut.
std::string ClipColumns(std::string_view line, int columns) {
  std::string text;
  int shown = 0;
  for (size_t k = 0; k < line.size(); ++k) {
    if (line[k] == '\033') {
      const size_t end = std::min(line.find('m', k), line.size() - 1);
      text.append(line.substr(k, end - k + 1));
      k = end;
      continue;
    }
    const bool begins = (static_cast<unsigned char>(line[k]) & 0xc0) != 0x80;
    if (begins && shown == std::max(columns, 1)) {
      text += "\033[39m";
      break;
    }
    shown += begins ? 1 : 0;
    text += line[k];
  }
  return text;
}

constexpr int kPictureHeightMin = 9;  // one row fewer than that and little is left for the curves
constexpr int kPictureHeightMax = 24;

struct Picture {
  std::vector<plot::Envelope> curves;
  std::string title;
};

// Draws over its own earlier output: one write a frame, cursor up by the lines of the last one.
class Screen {
 public:
  explicit Screen(const Terminal& terminal) : terminal_(terminal) {}

  // Of several pictures, below each other, the first ones are left out where the terminal is too
  // low for all.
  void Draw(std::span<const Picture> pictures, const std::string& footer) {
    const int room = terminal_.height - 2;
    const auto fit = static_cast<size_t>(std::max(room / kPictureHeightMin, 1));
    pictures = pictures.last(std::min(fit, pictures.size()));
    plot::ChartOptions options;
    options.width = terminal_.width - 1;
    options.height = std::min(room / static_cast<int>(pictures.size()), kPictureHeightMax);
    options.glyphs = terminal_.glyphs;
    options.color = terminal_.color;
    std::string frame;
    for (const Picture& picture : pictures) {
      options.title = picture.title;
      absl::StrAppend(&frame, plot::RenderSemilogChart(picture.curves, options));
    }
    absl::StrAppend(&frame, footer);
    const auto lines = std::count(frame.begin(), frame.end(), '\n') + 1;
    std::string text;
    if (lines_ > 0) {
      absl::StrAppend(&text, "\033[", lines_, "A");
    }
    // Each line erases what stood behind it; lines of the last frame that this one lacks are erased
    // too.
    for (const std::string& line : std::vector<std::string>(absl::StrSplit(frame, '\n'))) {
      absl::StrAppend(&text, ClipColumns(line, terminal_.width - 1), "\033[K\n");
    }
    text += "\033[J";
    std::cout << text << std::flush;
    lines_ = lines;
  }

 private:
  const Terminal& terminal_;
  std::ptrdiff_t lines_ = 0;
};

std::string ProgressText(const v1::TrainingJob& job, const plot::Envelope& residual, double rate) {
  std::string text = absl::StrCat("  ", job.name(), "  ", StateName(job.state()));
  if (residual.last_iteration() >= 0) {
    absl::StrAppend(&text, "  iteration ", residual.last_iteration());
  }
  if (!std::isnan(rate)) {
    absl::StrAppendFormat(&text, "  rate %.6f", rate);
  }
  absl::StrAppendFormat(&text, "  predicted %.6f", job.resolution().prediction().rate());
  return text;
}

// Of the last iteration that was diagnosed.
std::string DiagnosticsText(std::span<const plot::Envelope> curves, double distance) {
  std::string text = absl::StrFormat("  at iteration %d: ", curves[0].last_iteration());
  for (const plot::Envelope& curve : curves) {
    absl::StrAppend(&text, curve.label(), " ", ShortNumber(curve.last_value()), ", ");
  }
  return absl::StrCat(text, "distance from the start ", ShortNumber(distance));
}

// The columns of a plain line, in order.
std::vector<std::string> ColumnTitles(const FollowOptions& options) {
  std::vector<std::string> titles = {"iteration", "loss", "residual_norm", "rate_estimate",
                                     "theory_bound"};
  if (options.with_prediction) {
    titles.emplace_back("predicted_residual_norm");
  }
  if (options.with_elapsed) {
    titles.emplace_back("elapsed_seconds");
  }
  if (options.with_diagnostics) {
    titles.insert(titles.end(), {"smallest_eigenvalue", "largest_eigenvalue", "condition_number",
                                 "flipped_share", "distance_from_start"});
  }
  return titles;
}

// Of the diagnostics of record k, which are those of `next` or later, if there are any.
std::vector<double> DiagnosticsOf(const v1::IterationBatch& batch, int k, int& next) {
  const v1::Diagnostics& diagnostics = batch.diagnostics();
  if (next == diagnostics.iteration_size() || diagnostics.iteration(next) != batch.iteration(k)) {
    return std::vector<double>(5, std::nan(""));
  }
  const int d = next++;
  return {diagnostics.smallest_eigenvalue(d), diagnostics.largest_eigenvalue(d),
          diagnostics.condition_number(d), diagnostics.flipped_share(d),
          diagnostics.distance_from_start(d)};
}

std::vector<std::string> Cells(const v1::IterationBatch& batch, int k, const FollowOptions& options,
                               int& next_diagnostics) {
  std::vector<std::string> cells = {absl::StrCat(batch.iteration(k)), ExactNumber(batch.loss(k)),
                                    ExactNumber(batch.residual_norm(k)),
                                    ExactNumber(batch.rate_estimate(k)),
                                    ExactNumber(batch.theory_bound(k))};
  if (options.with_prediction) {
    cells.push_back(ExactNumber(batch.predicted_residual_norm(k)));
  }
  if (options.with_elapsed) {
    cells.push_back(ExactNumber(batch.elapsed_seconds(k)));
  }
  if (options.with_diagnostics) {
    for (const double value : DiagnosticsOf(batch, k, next_diagnostics)) {
      cells.push_back(ExactNumber(value));
    }
  }
  return cells;
}

bool DrawsChart(const Context& context) {
  return context.output == OutputFormat::kTable && context.terminal.output_is_terminal;
}

bool PrintsEvents(const Context& context) {
  return context.output == OutputFormat::kJson || context.output == OutputFormat::kYaml;
}

// That a job was not asked for the diagnostics that are to be shown.
void SayIfThereAreNone(const Context& context, const FollowOptions& options,
                       const v1::TrainingJob& job) {
  if (options.with_diagnostics && job.spec().diagnostics_interval() == 0 && !context.quiet) {
    std::cerr
        << job.name()
        << " has no diagnostics; a job that has: polyak submit ... --diagnostics-interval N\n";
  }
}

// A line a record, or an object an event.
class LineHandler : public client::WatchHandler {
 public:
  LineHandler(const Context& context, const FollowOptions& options)
      : context_(context), options_(options) {}

  void OnSnapshot(const v1::TrainingJob& job) override {
    if (!titles_printed_) {
      SayIfThereAreNone(context_, options_, job);
    }
    if (PrintsEvents(context_)) {
      v1::WatchTrainingJobResponse event;
      *event.mutable_snapshot()->mutable_training_job() = job;
      PrintMessage(context_, event);
    } else if (!titles_printed_) {
      std::cout << absl::StrJoin(ColumnTitles(options_), Separator()) << "\n" << std::flush;
    }
    titles_printed_ = true;
  }

  void OnIterations(const v1::IterationBatch& batch) override {
    if (PrintsEvents(context_)) {
      v1::WatchTrainingJobResponse event;
      *event.mutable_iterations() = batch;
      PrintMessage(context_, event);
      return;
    }
    std::string text;
    int next_diagnostics = 0;
    for (int k = 0; k < batch.iteration_size(); ++k) {
      absl::StrAppend(
          &text, absl::StrJoin(Cells(batch, k, options_, next_diagnostics), Separator()), "\n");
    }
    std::cout << text << std::flush;
  }

 private:
  const char* Separator() const { return context_.output == OutputFormat::kCsv ? "," : "\t"; }

  const Context& context_;
  const FollowOptions& options_;
  bool titles_printed_ = false;
};

// Residual, bound and, when asked for, the predicted curve and diagnostics of one job, drawn live.
class ChartHandler : public client::WatchHandler {
 public:
  explicit ChartHandler(const Context& context) : screen_(context.terminal) {
    for (const char* const label : {"residual norm", "bound", "predicted"}) {
      curves_.emplace_back(label);
    }
    for (const char* const label : {"condition number", "flipped share"}) {
      diagnosed_.emplace_back(label);
    }
  }

  void OnSnapshot(const v1::TrainingJob& job) override {
    job_ = job;
    Redraw(true);
  }

  void OnIterations(const v1::IterationBatch& batch) override {
    job_.set_state(v1::TrainingJob::STATE_RUNNING);
    for (int k = 0; k < batch.iteration_size(); ++k) {
      curves_[0].Add(batch.iteration(k), batch.residual_norm(k));
      if (!std::isnan(batch.theory_bound(k))) {
        curves_[1].Add(batch.iteration(k), batch.theory_bound(k));
      }
      if (batch.predicted_residual_norm_size() > 0) {
        curves_[2].Add(batch.iteration(k), batch.predicted_residual_norm(k));
      }
      rate_ = batch.rate_estimate(k);
    }
    const v1::Diagnostics& diagnostics = batch.diagnostics();
    for (int k = 0; k < diagnostics.iteration_size(); ++k) {
      diagnosed_[0].Add(diagnostics.iteration(k), diagnostics.condition_number(k));
      if (!std::isnan(diagnostics.flipped_share(k))) {
        diagnosed_[1].Add(diagnostics.iteration(k), diagnostics.flipped_share(k));
      }
      distance_ = diagnostics.distance_from_start(k);
    }
    Redraw(false);
  }

  void Finish(const v1::TrainingJob& job) {
    job_ = job;
    Redraw(true);
  }

 private:
  void Redraw(bool now) {
    const auto time = SteadyClock::now();
    if (!now && time - drawn_ < kRedrawPause) {
      return;
    }
    drawn_ = time;
    std::vector<Picture> pictures = {{Begun(curves_), Describe(job_.spec())}};
    std::string footer = ProgressText(job_, curves_[0], rate_);
    if (std::vector<plot::Envelope> begun = Begun(diagnosed_); begun[0].last_iteration() >= 0) {
      absl::StrAppend(&footer, "\n", DiagnosticsText(begun, distance_));
      const char* const title = begun.size() > 1 ? "curvature and activations" : "curvature";
      pictures.push_back({std::move(begun), title});
    }
    screen_.Draw(pictures, footer);
  }
  // The first one, and of the others those with values.
  static std::vector<plot::Envelope> Begun(const std::vector<plot::Envelope>& curves) {
    std::vector<plot::Envelope> begun = {curves[0]};
    for (size_t k = 1; k < curves.size(); ++k) {
      if (curves[k].last_iteration() >= 0) {
        begun.push_back(curves[k]);
      }
    }
    return begun;
  }

  Screen screen_;
  std::vector<plot::Envelope> curves_;
  std::vector<plot::Envelope> diagnosed_;
  double distance_ = std::nan("");
  v1::TrainingJob job_;
  double rate_ = std::nan("");
  SteadyClock::time_point drawn_;
};

v1::WatchTrainingJobRequest ToRequest(const FollowOptions& options) {
  v1::WatchTrainingJobRequest request;
  request.set_name(options.name);
  if (options.after_iteration.has_value()) {
    request.set_after_iteration(*options.after_iteration);
  }
  request.set_stride(options.stride);
  request.set_with_prediction(options.with_prediction);
  request.set_with_elapsed(options.with_elapsed);
  request.set_with_diagnostics(options.with_diagnostics);
  return request;
}

// What several watches share, one of each job, drawn by the thread that waits for them.
class Race {
 public:
  explicit Race(std::span<const std::string> labels) {
    for (const std::string& label : labels) {
      curves_.emplace_back(label);
    }
  }

  void Add(size_t lane, const v1::IterationBatch& batch) {
    const std::lock_guard lock(mutex_);
    for (int k = 0; k < batch.iteration_size(); ++k) {
      curves_[lane].Add(batch.iteration(k), batch.loss(k));
    }
  }

  std::vector<plot::Envelope> curves() const {
    const std::lock_guard lock(mutex_);
    return curves_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<plot::Envelope> curves_;
};

class LaneHandler : public client::WatchHandler {
 public:
  LaneHandler(Race& race, size_t lane) : race_(race), lane_(lane) {}
  void OnIterations(const v1::IterationBatch& batch) override { race_.Add(lane_, batch); }

 private:
  Race& race_;
  size_t lane_;
};

void PlainProgress(const std::string& title, std::span<const plot::Envelope> curves) {
  std::string text = title;
  for (const plot::Envelope& curve : curves) {
    absl::StrAppend(&text, "  ", curve.label(), ": iteration ",
                    std::max<int64_t>(curve.last_iteration(), 0));
    if (curve.last_iteration() >= 0) {
      absl::StrAppendFormat(&text, " loss %.3g", curve.last_value());
    }
  }
  std::cerr << text << "\n";
}

}  // namespace

absl::StatusOr<v1::TrainingJob> Follow(const Context& context, const FollowOptions& options) {
  const std::stop_token stop = InterruptToken();
  client::Client client = context.Connect();
  if (DrawsChart(context)) {
    ChartHandler handler(context);
    auto job = client.Watch(ToRequest(options), handler, stop);
    if (job.ok()) {
      handler.Finish(*job);
    }
    return job;
  }
  LineHandler handler(context, options);
  return client.Watch(ToRequest(options), handler, stop);
}

ExitCode FollowAndReport(const Context& context, const FollowOptions& options) {
  const auto ended = Follow(context, options);
  if (!ended.ok()) {
    return Fail(context, ended.status());
  }
  if (DrawsChart(context)) {
    SayIfThereAreNone(context, options, *ended);
    return PrintJob(context, *ended);
  }
  if (PrintsEvents(context)) {
    v1::WatchTrainingJobResponse event;
    *event.mutable_terminal()->mutable_training_job() = *ended;
    PrintMessage(context, event);
  } else if (!context.quiet) {
    std::cerr << DescribeEnd(*ended) << "\n";
  }
  return ExitCodeOf(*ended);
}

absl::StatusOr<std::vector<v1::TrainingJob>> FollowTogether(const Context& context,
                                                            std::span<const std::string> names,
                                                            std::span<const std::string> labels,
                                                            const std::string& title) {
  // A lane that fails ends the others: a race of one is none.
  std::stop_source stop;
  const std::stop_callback interrupt(InterruptToken(), [&stop] { stop.request_stop(); });
  client::Client client = context.Connect();
  Race race(labels);
  std::vector<absl::StatusOr<v1::TrainingJob>> results(names.size(),
                                                       absl::UnknownError("not ended"));
  std::atomic<size_t> ended = 0;
  std::vector<std::jthread> watches;
  for (size_t lane = 0; lane < names.size(); ++lane) {
    watches.emplace_back([&, lane] {
      LaneHandler handler(race, lane);
      v1::WatchTrainingJobRequest request;
      request.set_name(names[lane]);
      results[lane] = client.Watch(std::move(request), handler, stop.get_token());
      if (!results[lane].ok()) {
        stop.request_stop();
      }
      ++ended;
    });
  }
  const bool draw = DrawsChart(context);
  Screen screen(context.terminal);
  auto last_line = SteadyClock::now();
  while (ended < names.size()) {
    std::this_thread::sleep_for(kRedrawPause);
    if (draw) {
      screen.Draw(std::vector<Picture>{{race.curves(), title}}, "");
    } else if (!context.quiet && SteadyClock::now() - last_line >= kPlainLinePause) {
      last_line = SteadyClock::now();
      PlainProgress(title, race.curves());
    }
  }
  watches.clear();
  if (draw) {
    screen.Draw(std::vector<Picture>{{race.curves(), title}}, "");
  }
  std::vector<v1::TrainingJob> jobs;
  absl::Status error;
  for (auto& result : results) {
    if (result.ok()) {
      jobs.push_back(*std::move(result));
    } else if (error.ok() || absl::IsCancelled(error)) {
      error = result.status();  // what stopped the others, before what they say of it
    }
  }
  if (!error.ok()) {
    return error;
  }
  return jobs;
}

}  // namespace polyak::cli
