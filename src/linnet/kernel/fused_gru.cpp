// The recurrence of a GRU layer, forward and backward in time order, for training on a CPU.
//
//     gates = input products (made before, one large matrix product for all steps and directions)
//     forward:   for each step   h -> [R_r h, R_z h, R_n h] -> r, z, n -> h'
//     backward:  for each step   dh -> dr, dz, dn -> dh of the step before
//
// Each thread takes a direction or a share of the batch through all steps: no thread waits for
// another inside the loop. A tile of ROWS clips by one vector of units keeps its three gates in
// registers while it runs over the previous state; the weights are packed so that it reads them in
// order, and the gates are applied before anything is written.
//
// A clip ends where its length says. The reverse direction starts at that end, which costs an index
// and no copy; outputs and gradients beyond it are 0.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/cpu/vec/vec.h>
#include <torch/library.h>

#include <tuple>
#include <vector>

namespace {

using at::Tensor;
using Vector = at::vec::Vectorized<float>;
constexpr int64_t WIDTH = Vector::size();
// AVX-512 has 32 registers: three gates of eight clips, three of weights. Others have 16.
constexpr int64_t ROWS = WIDTH == 16 ? 8 : 4;
constexpr int64_t COLUMNS = WIDTH == 16 ? 3 : 2;

// ATen's fast exponential clamps its argument and thereby hides what is not a number.
inline Vector unless_nan(Vector argument, Vector result) {
  return Vector::blendv(result, argument, argument != argument);
}

inline Vector sigmoid(Vector value) {
  return unless_nan(value, Vector(1.f) / (Vector(1.f) + value.neg().exp_u20()));
}

inline Vector hyperbolic_tangent(Vector value) {
  const Vector grown = (value * Vector(-2.f)).exp_u20();
  return unless_nan(value, Vector(2.f) / (Vector(1.f) + grown) - Vector(1.f));
}

// Where the clips of one layer lie: T steps of B clips, D directions of H units side by side.
struct Layout {
  int64_t directions, steps, clips, units;
  const int64_t* lengths;

  // The step that direction d reads when it has read `order` steps of the clip.
  int64_t step(int64_t d, int64_t order, int64_t clip) const {
    return d == 0 || order >= lengths[clip] ? order : lengths[clip] - 1 - order;
  }
  int64_t row(int64_t d, int64_t order, int64_t clip) const {
    return (step(d, order, clip) * clips + clip) * directions + d;
  }
  bool inside(int64_t order, int64_t clip) const { return order < lengths[clip]; }
};

// Runs work(d, first, count) for every direction and share of the clips, on all threads.
template <typename Work>
void share(const Layout& layout, const Work& work) {
  const int64_t wanted = (at::get_num_threads() + layout.directions - 1) / layout.directions;
  const int64_t blocks = (layout.clips + ROWS - 1) / ROWS;
  const int64_t shares = std::max<int64_t>(1, std::min(wanted, blocks));
  const int64_t clips = (blocks + shares - 1) / shares * ROWS;
  at::parallel_for(0, layout.directions * shares, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; task++) {
      const int64_t first = task % shares * clips;
      const int64_t count = std::min(clips, layout.clips - first);
      if (count > 0) work(task / shares, first, count);
    }
  });
}

int64_t longest(const Layout& layout, int64_t first, int64_t count) {
  return *std::max_element(layout.lengths + first, layout.lengths + first + count);
}

// The three gates of `rows` clips and one vector of units: sums[row][gate] += state * weights.
template <int64_t rows>
inline void multiply_gates(
    const float* state, const float* packed, int64_t units, Vector (&given)[rows][3]) {
  Vector sums[rows][3];  // its own, so that the compiler keeps it in registers
#pragma GCC unroll 8
  for (int64_t i = 0; i < rows; i++)
    for (int64_t g = 0; g < 3; g++) sums[i][g] = given[i][g];
  for (int64_t k = 0; k < units; k++, packed += 3 * WIDTH) {
    const Vector r = Vector::loadu(packed);
    const Vector z = Vector::loadu(packed + WIDTH);
    const Vector n = Vector::loadu(packed + 2 * WIDTH);
#pragma GCC unroll 8
    for (int64_t i = 0; i < rows; i++) {
      const Vector value(state[i * units + k]);
      sums[i][0] = at::vec::fmadd(value, r, sums[i][0]);
      sums[i][1] = at::vec::fmadd(value, z, sums[i][1]);
      sums[i][2] = at::vec::fmadd(value, n, sums[i][2]);
    }
  }
#pragma GCC unroll 8
  for (int64_t i = 0; i < rows; i++)
    for (int64_t g = 0; g < 3; g++) given[i][g] = sums[i][g];
}

struct Forward {
  const Layout& layout;
  float* gates;          // T B D 3H: the input products, then r, z and n in their place
  const float* weights;  // D H/WIDTH H 3 WIDTH
  const float* bias;     // D H, of the candidate's product with the state
  float* outputs;        // T B D H
  float* inner;          // T B D H: R_n h + c_n, which the reset gate lets through

  template <int64_t rows>
  void block(int64_t d, int64_t order, int64_t first, const float* state, float* next) const {
    const int64_t units = layout.units;
    for (int64_t j = 0; j < units; j += WIDTH) {
      Vector sums[rows][3];
      const Vector start = Vector::loadu(bias + d * units + j);
      for (int64_t i = 0; i < rows; i++) {
        const float* input = gates + layout.row(d, order, first + i) * 3 * units + j;
        sums[i][0] = Vector::loadu(input);
        sums[i][1] = Vector::loadu(input + units);
        sums[i][2] = start;
      }
      multiply_gates<rows>(state, weights + (d * units + j) * 3 * units, units, sums);
      for (int64_t i = 0; i < rows; i++) {
        const int64_t row = layout.row(d, order, first + i);
        const Vector r = sigmoid(sums[i][0]), z = sigmoid(sums[i][1]);
        float* gate = gates + row * 3 * units + j;
        const Vector input = Vector::loadu(gate + 2 * units);
        const Vector n = hyperbolic_tangent(at::vec::fmadd(r, sums[i][2], input));
        const Vector before = Vector::loadu(state + i * units + j);
        const Vector after = at::vec::fmadd(z, before - n, n);
        after.store(next + i * units + j);
        if (!layout.inside(order, first + i)) continue;
        r.store(gate);
        z.store(gate + units);
        n.store(gate + 2 * units);
        sums[i][2].store(inner + row * units + j);
        after.store(outputs + row * units + j);
      }
    }
  }

  void operator()(int64_t d, int64_t first, int64_t count) const {
    const int64_t units = layout.units, steps = longest(layout, first, count);
    std::vector<float> before(count * units, 0.f), after(count * units);
    for (int64_t order = 0; order < steps; order++) {
      int64_t i = 0;
      for (; i + ROWS <= count; i += ROWS)
        block<ROWS>(d, order, first + i, &before[i * units], &after[i * units]);
      for (; i < count; i++)
        block<1>(d, order, first + i, &before[i * units], &after[i * units]);
      before.swap(after);
    }
  }
};

// carry[row] += gradients[row] * weights, for `rows` clips and `columns` vectors of units.
template <int64_t rows, int64_t columns>
inline void multiply_back(
    const float* gradients, const float* packed, int64_t units, int64_t j, float* carry) {
  Vector sums[rows][columns];
  for (int64_t i = 0; i < rows; i++)
    for (int64_t c = 0; c < columns; c++)
      sums[i][c] = Vector::loadu(carry + i * units + j + c * WIDTH);
  for (int64_t k = 0; k < 3 * units; k++, packed += units) {
    Vector weights[columns];
    for (int64_t c = 0; c < columns; c++) weights[c] = Vector::loadu(packed + j + c * WIDTH);
#pragma GCC unroll 8
    for (int64_t i = 0; i < rows; i++) {
      const Vector value(gradients[i * 3 * units + k]);
      for (int64_t c = 0; c < columns; c++)
        sums[i][c] = at::vec::fmadd(value, weights[c], sums[i][c]);
    }
  }
  for (int64_t i = 0; i < rows; i++)
    for (int64_t c = 0; c < columns; c++) sums[i][c].store(carry + i * units + j + c * WIDTH);
}

struct Backward {
  const Layout& layout;
  const float* arriving;  // T B D H, gradients of the outputs
  const float* weights;   // D 3H H
  const float* outputs;   // T B D H
  const float* forward;   // T B D 3H: r, z, n
  const float* inner;     // T B D H
  float* products;        // T B D 3H, gradients of the products with the state
  float* candidates;      // T B D H, gradients of the candidate's sum

  // The gates of one clip at one step; carry becomes the part of dh that skips the products.
  void gates(int64_t d, int64_t order, int64_t clip, float* carry, float* gradients) const {
    const int64_t units = layout.units, row = layout.row(d, order, clip);
    const float* gate = forward + row * 3 * units;
    const float* before =
        order == 0 ? nullptr : outputs + layout.row(d, order - 1, clip) * units;
    const Vector one(1.f);
    for (int64_t j = 0; j < units; j += WIDTH) {
      const Vector r = Vector::loadu(gate + j), z = Vector::loadu(gate + units + j);
      const Vector n = Vector::loadu(gate + 2 * units + j);
      const Vector product = Vector::loadu(inner + row * units + j);
      const Vector state = before == nullptr ? Vector(0.f) : Vector::loadu(before + j);
      const Vector dh = Vector::loadu(carry + j) + Vector::loadu(arriving + row * units + j);
      const Vector dz = dh * (state - n) * z * (one - z);
      const Vector dn = dh * (one - z) * (one - n * n);
      const Vector dr = dn * product * r * (one - r);
      const Vector values[3] = {dr, dz, dn * r};
      for (int64_t g = 0; g < 3; g++) {
        values[g].store(gradients + g * units + j);
        values[g].store(products + (row * 3 + g) * units + j);
      }
      dn.store(candidates + row * units + j);
      (dh * z).store(carry + j);
    }
  }

  template <int64_t rows>
  void block(int64_t d, const float* gradients, float* carry) const {
    const int64_t units = layout.units;
    const float* packed = weights + d * 3 * units * units;
    int64_t j = 0;
    for (; j + COLUMNS * WIDTH <= units; j += COLUMNS * WIDTH)
      multiply_back<rows, COLUMNS>(gradients, packed, units, j, carry);
    for (; j < units; j += WIDTH) multiply_back<rows, 1>(gradients, packed, units, j, carry);
  }

  void operator()(int64_t d, int64_t first, int64_t count) const {
    const int64_t units = layout.units;
    std::vector<float> carry(count * units, 0.f), gradients(count * 3 * units, 0.f);
    for (int64_t order = longest(layout, first, count) - 1; order >= 0; order--) {
      for (int64_t i = 0; i < count; i++)
        // Before its end a clip has no gradients yet: carry and gradients are still 0.
        if (layout.inside(order, first + i))
          gates(d, order, first + i, &carry[i * units], &gradients[i * 3 * units]);
      if (order == 0) break;
      int64_t i = 0;
      for (; i + ROWS <= count; i += ROWS)
        block<ROWS>(d, &gradients[i * 3 * units], &carry[i * units]);
      for (; i < count; i++) block<1>(d, &gradients[i * 3 * units], &carry[i * units]);
    }
  }
};

Layout layout_of(const Tensor& inputs, const Tensor& lengths, int64_t directions, int64_t gates) {
  const int64_t units = inputs.size(2) / (gates * directions);
  TORCH_CHECK(units % WIDTH == 0, "units=", units, " must be a multiple of ", WIDTH);
  return {directions, inputs.size(0), inputs.size(1), units, lengths.data_ptr<int64_t>()};
}

// gates T B D3H (input products, replaced by r, z, n), weights D 3H H, bias D H, lengths B
// -> outputs T B DH, inner T B DH
std::tuple<Tensor, Tensor> forward(
    const Tensor& gates, const Tensor& weights, const Tensor& bias, const Tensor& lengths) {
  const Layout layout = layout_of(gates, lengths, weights.size(0), 3);
  const int64_t units = layout.units;
  const auto packed = weights.view({layout.directions, 3, units / WIDTH, WIDTH, units})
                          .permute({0, 2, 4, 1, 3})
                          .contiguous();
  auto outputs = at::zeros(
      {layout.steps, layout.clips, layout.directions * units}, gates.options());
  auto inner = at::empty_like(outputs);
  share(layout, Forward{layout, gates.data_ptr<float>(), packed.data_ptr<float>(),
                        bias.data_ptr<float>(), outputs.data_ptr<float>(),
                        inner.data_ptr<float>()});
  return {outputs, inner};
}

// arriving T B DH -> gradients of the products T B D3H and of the candidates' sums T B DH
std::tuple<Tensor, Tensor> backward(
    const Tensor& arriving, const Tensor& weights, const Tensor& outputs, const Tensor& gates,
    const Tensor& inner, const Tensor& lengths) {
  const Layout layout = layout_of(arriving, lengths, weights.size(0), 1);
  auto products = at::zeros_like(gates);
  auto candidates = at::zeros_like(arriving);
  share(layout, Backward{layout, arriving.data_ptr<float>(), weights.data_ptr<float>(),
                         outputs.data_ptr<float>(), gates.data_ptr<float>(),
                         inner.data_ptr<float>(), products.data_ptr<float>(),
                         candidates.data_ptr<float>()});
  return {products, candidates};
}

}  // namespace

TORCH_LIBRARY(linnet, library) {
  library.def("gru_forward(Tensor(a!) gates, Tensor weights, Tensor bias, Tensor lengths)"
              " -> (Tensor, Tensor)", &forward);
  library.def("gru_backward(Tensor arriving, Tensor weights, Tensor outputs, Tensor gates,"
              " Tensor inner, Tensor lengths) -> (Tensor, Tensor)", &backward);
}
