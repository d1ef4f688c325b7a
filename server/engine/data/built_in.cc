#include "server/engine/data/built_in.h"

#include <charconv>
#include <cmath>

#include "server/base/check.h"

namespace polyak::engine {

extern const std::string_view kDiabetesFeaturesText;
extern const std::string_view kDiabetesTargetText;
extern const std::string_view kDigitsText;
extern const std::string_view kWineText;

namespace {

// Numbers between any of ",", white space and line ends, `columns` a row, after `header_lines`
// lines.
Matrix ParseNumbers(std::string_view text, Eigen::Index columns, int header_lines) {
  for (int k = 0; k < header_lines; ++k) {
    text.remove_prefix(text.find('\n') + 1);
  }
  std::vector<double> values;
  while (true) {
    const size_t first = text.find_first_not_of(", \t\r\n");
    if (first == std::string_view::npos) {
      break;
    }
    text.remove_prefix(first);
    double value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    POLYAK_CHECK(result.ec == std::errc());
    values.push_back(value);
    text.remove_prefix(static_cast<size_t>(result.ptr - text.data()));
  }
  const auto count = static_cast<Eigen::Index>(values.size());
  POLYAK_CHECK(count > 0 && count % columns == 0);
  return Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(
      values.data(), count / columns, columns);
}

std::shared_ptr<const Dataset> Standardized(Dataset data) {
  DatasetSpec spec;
  spec.source = std::make_shared<const Dataset>(std::move(data));
  spec.scaling = FeatureScaling::kStandardized;
  auto scaled = MakeDataset(spec, Seed{});
  POLYAK_CHECK(scaled.ok());
  return std::make_shared<const Dataset>(*std::move(scaled));
}

std::shared_ptr<const Dataset> Diabetes() {
  Dataset data;
  data.features = ParseNumbers(kDiabetesFeaturesText, 10, 0);
  data.targets = ParseNumbers(kDiabetesTargetText, 1, 0);
  data.targets.array() -= data.targets.sum() / static_cast<double>(data.targets.rows());
  return Standardized(std::move(data));
}

std::shared_ptr<const Dataset> Digits() {
  const Matrix table = ParseNumbers(kDigitsText, 65, 0);
  Dataset data;
  data.features = table.leftCols(64);
  data.targets.resize(table.rows(), 1);
  for (Eigen::Index i = 0; i < table.rows(); ++i) {
    data.targets(i, 0) = std::fmod(table(i, 64), 2) == 1 ? 1 : -1;
  }
  return std::make_shared<const Dataset>(std::move(data));
}

std::shared_ptr<const Dataset> Wine() {
  const Matrix table = ParseNumbers(kWineText, 14, 1);
  Dataset data;
  data.features = table.leftCols(13);
  data.targets = Matrix::Zero(table.rows(), 3);
  for (Eigen::Index i = 0; i < table.rows(); ++i) {
    data.targets(i, static_cast<Eigen::Index>(table(i, 13))) = 1;
  }
  return Standardized(std::move(data));
}

}  // namespace

const std::vector<BuiltInDataset>& BuiltInDatasets() {
  static const auto& sets = *new std::vector<BuiltInDataset>{
      {"datasets/diabetes",
       "disease progression of 442 patients; columns standardised, target centred. Efron, Hastie, "
       "Johnstone, "
       "Tibshirani 2004, as shipped in scikit-learn 1.2.1 (BSD-3-Clause)",
       Diabetes()},
      {"datasets/digits",
       "1,797 handwritten digits of 8 x 8 pixels from 0 to 16; target +1 odd, -1 even. Alpaydin "
       "and Kaynak 1998, UCI "
       "(CC BY 4.0)",
       Digits()},
      {"datasets/wine",
       "178 wines; columns standardised, three classes one-hot. Aeberhard and Forina 1991, UCI (CC "
       "BY 4.0)",
       Wine()},
  };
  return sets;
}

const BuiltInDataset* FindBuiltInDataset(std::string_view name) {
  for (const BuiltInDataset& set : BuiltInDatasets()) {
    if (set.name == name) {
      return &set;
    }
  }
  return nullptr;
}

}  // namespace polyak::engine
