#include "server/spec/parse_problem.h"
#include "tests/unit/server/spec/refusals.h"

namespace polyak::spec {
namespace {

using ::testing::ElementsAre;

TEST(ParseQuadratic, RefusesAMatrixThatIsNoHessian) {
  const std::string path = "spec.quadratic.matrix";
  ExpectRefused({
      {"quadratic { matrix { rows: 2 cols: 2 values: [1, 0, 0] } }", path + ".values",
       "has 3 numbers", "rows x cols = 4"},
      {"quadratic { matrix { rows: 2 cols: 2 } }", path + ".values", "has 0 numbers", "= 4"},
      {"quadratic { matrix { rows: 1 cols: 1 values: [1, 2] } }", path + ".values", "has 2 numbers",
       "= 1"},
      {"quadratic { matrix { rows: 2 cols: 2 values: [1, 0, 0, nan] } }", path + ".values[3]",
       "is nan", "a finite number"},
      {"quadratic { matrix { rows: 2 cols: 2 values: [inf, 0, 0, 1] } }", path + ".values[0]",
       "is inf", "a finite number"},
      {"quadratic { matrix { rows: 1 cols: 1 values: -inf } }", path + ".values[0]", "is -inf",
       "a finite number"},
      {"quadratic { matrix { rows: 1 cols: 2 values: [1, 0] } }", path, "is 1 x 2",
       "a square matrix"},
      {"quadratic { matrix { rows: 2 cols: 2 values: [1, 0.5, 0.25, 1] } }", path,
       "(1, 0) and (0, 1) are 0.25 and 0.5", "equal to 1e-12 of the largest entry"},
      {"quadratic { matrix { rows: 8193 cols: 1 } }", path + ".rows", "is 8193", "1 to 8192"},
      {"quadratic { matrix { rows: 1 cols: 8193 } }", path + ".cols", "is 8193", "1 to 8192"},
      {"quadratic { matrix { rows: -2 cols: 2 } }", path + ".rows", "is -2", "1 to 8192"},
      {"quadratic { matrix { rows: 0 cols: 2 } }", path + ".rows", "is 0", "1 to 8192"},
  });
}

TEST(ParseQuadratic, AnEmptyMatrixNamesBothSizes) {
  EXPECT_THAT(FieldsOf(ViolationsOf(SpecOf("quadratic { matrix {} }"))),
              ElementsAre("spec.quadratic.matrix.rows", "spec.quadratic.matrix.cols"));
}

TEST(ParseQuadratic, RefusesASpectrumThatIsNone) {
  const std::string path = "spec.quadratic.spectrum";
  const std::string list = path + ".explicit.eigenvalues";
  const std::string made = path + ".generated";
  ExpectRefused({
      {"quadratic {}", "spec.quadratic.hessian", "not set", "matrix, spectrum or least_squares"},
      {"quadratic { spectrum {} }", path + ".kind", "not set", "explicit or generated"},
      {"quadratic { spectrum { explicit {} } }", list, "has 0 numbers", "1 to 10000000"},
      {"quadratic { spectrum { explicit { eigenvalues: [1, nan] } } }", list + "[1]", "is nan",
       "a finite number"},
      {"quadratic { spectrum { explicit { eigenvalues: [0, 0] } } }", list, "is 0 at most",
       "at least one eigenvalue above 0"},
      {"quadratic { spectrum { explicit { eigenvalues: -1 } } }", list, "is -1 at most", "above 0"},
      {"quadratic { spectrum { explicit { eigenvalues: [10, -1.1e-12] } } }", list + "[1]",
       "is -1.1e-12", "not below -1e-13 of the largest"},
      {"quadratic { spectrum { generated { condition_number: 2 } } }", made + ".dimension", "is 0",
       "1 to 10000000"},
      {"quadratic { spectrum { generated { dimension: -3 condition_number: 2 } } }",
       made + ".dimension", "is -3", "1 to 10000000"},
      {"quadratic { spectrum { generated { dimension: 10000001 condition_number: 2 } } }",
       made + ".dimension", "is 10000001", "1 to 10000000"},
      {"quadratic { spectrum { generated { dimension: 2 } } }", made + ".condition_number", "is 0",
       "at least 1"},
      {"quadratic { spectrum { generated { dimension: 2 condition_number: 0.999 } } }",
       made + ".condition_number", "is 0.999", "at least 1"},
      {"quadratic { spectrum { generated { dimension: 2 condition_number: nan } } }",
       made + ".condition_number", "is nan", "at least 1"},
      {"quadratic { spectrum { generated { dimension: 2 condition_number: inf } } }",
       made + ".condition_number", "is inf", "a finite number"},
      {"quadratic { spectrum { generated { dimension: 1 condition_number: 2 } } }",
       made + ".condition_number", "is 2", "1 when dimension is 1"},
      {"quadratic { spectrum { generated { dimension: 2 condition_number: 2 smoothness: -1 } } }",
       made + ".smoothness", "is -1", "above 0, or unset for 1"},
      {"quadratic { spectrum { generated { dimension: 2 condition_number: 2 smoothness: nan } } }",
       made + ".smoothness", "is nan", "above 0"},
      {"quadratic { spectrum { generated { dimension: 2 condition_number: 2 shape: 9 } } }",
       made + ".shape", "is 9", "SHAPE_LOG_UNIFORM"},
  });
}

TEST(ParseQuadratic, RefusesVectorsOfAnotherDimensionOrWithoutANumber) {
  const std::string two = "quadratic { spectrum { explicit { eigenvalues: [1, 2] } } ";
  ExpectRefused({
      {two + "linear_term: [1, 2, 3] }", "spec.quadratic.linear_term", "has 3 numbers",
       "2, the dimension of the problem, or none"},
      {two + "linear_term: [1, inf] }", "spec.quadratic.linear_term[1]", "is inf",
       "a finite number"},
      {two + "initial_point: 1 }", "spec.quadratic.initial_point", "has 1 numbers", "2, the dim"},
      {two + "initial_point: [nan, 1] }", "spec.quadratic.initial_point[0]", "is nan",
       "a finite number"},
  });
}

TEST(ParseQuadratic, RefusesLeastSquaresItCanNotSolve) {
  const std::string path = "spec.quadratic.least_squares";
  ExpectRefused({
      {"quadratic { least_squares {} }", path + ".dataset.source", "not set",
       "inline, synthetic or name"},
      {"quadratic { least_squares { dataset { name: 'datasets/diabetes' } ridge: -1 } }",
       path + ".ridge", "is -1", "at least 0"},
      {"quadratic { least_squares { dataset { name: 'datasets/diabetes' } ridge: inf } }",
       path + ".ridge", "is inf", "a finite number"},
      {"quadratic { least_squares { dataset { name: 'datasets/wine' } } }", path + ".dataset",
       "has 3 target columns", "exactly 1"},
      {"quadratic { least_squares { dataset { synthetic { examples: 2 input_dimension: 8193 } } } "
       "}",
       path + ".dataset", "has 8193 columns", "up to 8192"},
      {"quadratic { least_squares { dataset { name: 'datasets/diabetes' } } linear_term: [1, 2, 3, "
       "4, 5, 6, 7, 8, 9, 10] }",
       "spec.quadratic.linear_term", "has 10 numbers", "none with least_squares"},
  });
}

TEST(ParseQuadratic, AcceptsTheEdges) {
  ExpectAccepted({
      "quadratic { matrix { rows: 1 cols: 1 values: 1 } }",
      // Asymmetric by 1e-12 of the largest entry, and no more.
      "quadratic { matrix { rows: 2 cols: 2 values: [1, 1e-12, 0, 1] } }",
      // Not below -1e-13 of the largest.
      "quadratic { spectrum { explicit { eigenvalues: [-1e-13, 1] } } }",
      "quadratic { spectrum { explicit { eigenvalues: [0, 1] } } }",
      "quadratic { spectrum { generated { dimension: 1 condition_number: 1 } } }",
      "quadratic { spectrum { generated { dimension: 10000000 condition_number: 1 } } }",
      "quadratic { spectrum { generated { dimension: 2 condition_number: 1e300 } } }",
      "quadratic { least_squares { dataset { name: 'datasets/diabetes' } ridge: 0 } }",
      "quadratic { least_squares { dataset { synthetic { examples: 2 input_dimension: 8192 } } } }",
  });
}

TEST(ParseQuadratic, AsymmetryBelowTheToleranceIsAveragedAway) {
  const ExperimentSpec spec =
      ParsedSpec("quadratic { matrix { rows: 2 cols: 2 values: [4, 1e-12, 3e-12, 4] } }");
  const auto& hessian = std::get<std::shared_ptr<const engine::Matrix>>(
      std::get<engine::QuadraticSpec>(spec.problem).hessian);
  EXPECT_EQ((*hessian)(0, 1), 2e-12);
  EXPECT_EQ((*hessian)(1, 0), 2e-12);
  EXPECT_THAT(FieldsOf(ViolationsOf(
                  SpecOf("quadratic { matrix { rows: 2 cols: 2 values: [4, 0, 4.1e-12, 4] } }"))),
              ElementsAre("spec.quadratic.matrix"));
}

TEST(ParseQuadratic, TheAverageOfTheLargestNumbersIsFinite) {
  const ExperimentSpec spec =
      ParsedSpec("quadratic { matrix { rows: 1 cols: 1 values: 1.7e308 } }");
  const auto& hessian = std::get<std::shared_ptr<const engine::Matrix>>(
      std::get<engine::QuadraticSpec>(spec.problem).hessian);
  EXPECT_EQ((*hessian)(0, 0), 1.7e308);
}

TEST(ParseQuadratic, AnUnsetShapeAndSmoothnessAreLogUniformAndOne) {
  const ExperimentSpec spec =
      ParsedSpec("quadratic { spectrum { generated { dimension: 3 condition_number: 10 } } }");
  const auto& generated = std::get<engine::GeneratedSpectrumSpec>(
      std::get<engine::QuadraticSpec>(spec.problem).hessian);
  EXPECT_EQ(generated.shape, engine::SpectrumShape::kLogUniform);
  EXPECT_EQ(generated.smoothness, 1);
}

TEST(ParseQuadratic, EveryShapeOfTheSchemaIsKnown) {
  const auto* shapes = v1::GeneratedSpectrum::Shape_descriptor();
  for (int k = 0; k < shapes->value_count(); ++k) {
    ExpectAccepted(
        {absl::StrCat("quadratic { spectrum { generated { dimension: 2 condition_number: 2 shape: ",
                      shapes->value(k)->name(), " } } }")});
  }
}

}  // namespace
}  // namespace polyak::spec
