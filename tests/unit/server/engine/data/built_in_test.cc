#include "server/engine/data/built_in.h"

#include <Eigen/SVD>

#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

// The table as it lies in data/, read by the standard library. Tests run in the tree's root.
std::vector<std::vector<double>> ReadTable(const std::string& path, int header_lines) {
  std::ifstream file(path);
  EXPECT_TRUE(file.is_open()) << path;
  std::vector<std::vector<double>> rows;
  std::string line;
  for (int k = 0; std::getline(file, line); ++k) {
    for (char& character : line) {
      character = character == ',' ? ' ' : character;
    }
    std::istringstream text(line);
    std::vector<double> row;
    for (double value = 0; text >> value;) {
      row.push_back(value);
    }
    if (k >= header_lines && !row.empty()) {
      rows.push_back(row);
    }
  }
  return rows;
}

const Dataset& Data(const char* name) { return *FindBuiltInDataset(name)->data; }

TEST(BuiltInDatasets, AreThreeEachWithItsSourceAndLicence) {
  const auto& sets = BuiltInDatasets();
  ASSERT_EQ(sets.size(), 3u);
  EXPECT_EQ(sets[0].name, "datasets/diabetes");
  EXPECT_EQ(sets[1].name, "datasets/digits");
  EXPECT_EQ(sets[2].name, "datasets/wine");
  EXPECT_NE(sets[0].description.find("Efron"), std::string_view::npos);
  EXPECT_NE(sets[0].description.find("BSD-3-Clause"), std::string_view::npos);
  EXPECT_NE(sets[1].description.find("CC BY 4.0"), std::string_view::npos);
  EXPECT_NE(sets[2].description.find("CC BY 4.0"), std::string_view::npos);
}

TEST(BuiltInDatasets, AreFoundByTheirWholeNameOnly) {
  for (const BuiltInDataset& set : BuiltInDatasets()) {
    EXPECT_EQ(FindBuiltInDataset(set.name), &set);
  }
  for (const char* name : {"", "diabetes", "datasets/", "datasets/Wine", "datasets/wine "}) {
    EXPECT_EQ(FindBuiltInDataset(name), nullptr) << name;
  }
}

struct Shape {
  const char* name;
  Eigen::Index examples;
  Eigen::Index inputs;
  Eigen::Index outputs;
};

TEST(BuiltInDatasets, HaveTheShapesOfTheirSources) {
  for (const Shape& shape :
       {Shape{"datasets/diabetes", 442, 10, 1}, Shape{"datasets/digits", 1797, 64, 1},
        Shape{"datasets/wine", 178, 13, 3}}) {
    const Dataset& data = Data(shape.name);
    EXPECT_EQ(data.features.rows(), shape.examples);
    EXPECT_EQ(data.features.cols(), shape.inputs);
    EXPECT_EQ(data.targets.rows(), shape.examples);
    EXPECT_EQ(data.targets.cols(), shape.outputs);
    EXPECT_TRUE(data.features.allFinite());
    EXPECT_TRUE(data.targets.allFinite());
  }
}

// Columns of mean 0 and population standard deviation 1, and the raw numbers but for both.
void ExpectStandardizedFrom(const std::vector<std::vector<double>>& table, const Dataset& data) {
  const Eigen::Index examples = data.features.rows();
  ASSERT_EQ(static_cast<Eigen::Index>(table.size()), examples);
  for (Eigen::Index j = 0; j < data.features.cols(); ++j) {
    long double sum = 0;
    for (const auto& row : table) {
      sum += row[static_cast<size_t>(j)];
    }
    const long double mean = sum / examples;
    long double squares = 0;
    for (const auto& row : table) {
      const long double centred = row[static_cast<size_t>(j)] - mean;
      squares += centred * centred;
    }
    const long double deviation = std::sqrt(squares / examples);
    // A sum of n terms in double loses up to n eps of its terms' size, here before the division.
    const double rounding = static_cast<double>(examples) * kEpsilon *
                            (1 + std::abs(static_cast<double>(mean / deviation)));
    for (Eigen::Index i = 0; i < examples; ++i) {
      const long double expected =
          (table[static_cast<size_t>(i)][static_cast<size_t>(j)] - mean) / deviation;
      ASSERT_NEAR(data.features(i, j), static_cast<double>(expected),
                  rounding * (1 + std::abs(static_cast<double>(expected))));
    }
    EXPECT_NEAR(data.features.col(j).mean(), 0, rounding);
    EXPECT_NEAR(data.features.col(j).squaredNorm() / static_cast<double>(examples), 1,
                2 * rounding);
  }
}

TEST(Diabetes, HasStandardizedColumns) {
  ExpectStandardizedFrom(ReadTable("data/diabetes_data_raw.csv", 0), Data("datasets/diabetes"));
}

TEST(Diabetes, HasACentredTargetInItsOwnUnit) {
  const auto table = ReadTable("data/diabetes_target.csv", 0);
  const Dataset& data = Data("datasets/diabetes");
  long double sum = 0;
  for (const auto& row : table) {
    sum += row.at(0);
  }
  for (size_t i = 0; i < table.size(); ++i) {
    // Targets are whole numbers up to 346; their sum is exact, their mean and difference round.
    EXPECT_NEAR(data.targets(static_cast<Eigen::Index>(i), 0),
                static_cast<double>(table[i].at(0) - sum / table.size()), 346 * kEpsilon);
  }
}

TEST(Digits, KeepsItsPixelsAndHasTheParityAsTarget) {
  const auto table = ReadTable("data/digits.csv", 0);
  const Dataset& data = Data("datasets/digits");
  ASSERT_EQ(static_cast<Eigen::Index>(table.size()), data.features.rows());
  for (size_t i = 0; i < table.size(); ++i) {
    ASSERT_EQ(table[i].size(), 65u);
    for (size_t j = 0; j < 64; ++j) {
      ASSERT_EQ(data.features(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)),
                table[i][j]);
    }
    const bool odd = static_cast<int>(table[i][64]) % 2 == 1;
    EXPECT_EQ(data.targets(static_cast<Eigen::Index>(i), 0), odd ? 1 : -1);
  }
  EXPECT_EQ(data.features.minCoeff(), 0);
  EXPECT_EQ(data.features.maxCoeff(), 16);
}

TEST(Wine, HasStandardizedColumns) {
  ExpectStandardizedFrom(ReadTable("data/wine_data.csv", 1), Data("datasets/wine"));
}

TEST(Wine, HasItsThreeClassesOneHot) {
  const auto table = ReadTable("data/wine_data.csv", 1);
  const Dataset& data = Data("datasets/wine");
  for (Eigen::Index i = 0; i < data.targets.rows(); ++i) {
    for (Eigen::Index k = 0; k < 3; ++k) {
      EXPECT_EQ(data.targets(i, k), table[static_cast<size_t>(i)][13] == k ? 1 : 0);
    }
  }
  // As the source counts them.
  EXPECT_EQ(data.targets.col(0).sum(), 59);
  EXPECT_EQ(data.targets.col(1).sum(), 71);
  EXPECT_EQ(data.targets.col(2).sum(), 48);
}

double SquaredCondition(const Matrix& features) {
  const Eigen::BDCSVD<Matrix> svd(features);
  return std::pow(svd.singularValues()(0) / svd.singularValues().tail(1)(0), 2);
}

// docs/data.md; half a unit of the last digit given there.
TEST(BuiltInDatasets, HaveTheConditionNumbersThatAreDocumented) {
  EXPECT_NEAR(SquaredCondition(Data("datasets/diabetes").features), 470.0780, 5e-5);
  EXPECT_NEAR(SquaredCondition(Data("datasets/wine").features), 45.5208, 5e-5);
}

}  // namespace
}  // namespace polyak::engine
