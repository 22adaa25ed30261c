"""The numpy MLP: gradients against central differences and against TensorFlow, and what training must keep."""

import h5py
import numpy as np
import pytest

from mlp import MLP, cross_entropy, read_parameters, relu_slope, softmax, write_parameters


def network(sizes, activation="relu", seed=0, dtype=np.float64, **options):
    """A float64 network with random biases: zero biases would sit on the kink of ReLU."""
    net = MLP(sizes, activation, np.random.default_rng(seed), dtype=dtype, **options)
    for b in net.b:
        b[:] = net.rng.normal(0, 0.5, b.shape)
    return net


def samples(n, inputs, classes, seed=1, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.random((n, inputs)).astype(dtype), rng.integers(0, classes, n)


def cost(net, x, labels, mask_seed=None):
    """The cost of the docstring of mlp.py; with a seed, the same dropout mask at every call."""
    if mask_seed is not None:
        net.rng = np.random.default_rng(mask_seed)
    p = net.forward(x, dropout=mask_seed is not None)
    return cross_entropy(p, labels) + net.l2 / 2 * sum((W ** 2).sum() for W in net.W)


def numeric_gradient(f, array, step=1e-6):
    """Central differences of f() over every entry of an array."""
    gradient = np.empty_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + step
        above = f()
        array[index] = kept - step
        gradient[index] = (above - f()) / (2 * step)
        array[index] = kept
    return gradient


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("sizes", [(6, 5, 4), (6, 5, 7, 3)])
@pytest.mark.parametrize("l2, dropout", [(0, (0, 0)), (0.3, (0, 0)), (0, (0.3, 0.5)), (0.1, (0, 0.4))])
def test_gradient_equals_central_differences(activation, sizes, l2, dropout):
    net = network(sizes, activation, l2=l2, dropout=dropout)
    x, labels = samples(8, sizes[0], sizes[-1])
    mask_seed = 5 if any(dropout) else None
    cost(net, x, labels, mask_seed)
    net.backward(labels)
    for parameter, gradient in zip(net.W + net.b, [g.copy() for g in net.dW + net.db]):
        numeric = numeric_gradient(lambda: cost(net, x, labels, mask_seed), parameter)
        assert np.abs(numeric).max() > 1e-4  # something to compare
        assert np.linalg.norm(gradient - numeric) / np.linalg.norm(gradient + numeric) < 1e-6


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_gradient_equals_tensorflow_on_a_real_sized_network(activation, tensorflow):
    tf = tensorflow
    net = network((784, 300, 100, 10), activation, l2=1e-3)
    x, labels = samples(100, 784, 10)
    variables = [tf.Variable(array) for array in net.W + net.b]
    with tf.GradientTape() as tape:
        a = x
        for l in range(3):
            a = tf.matmul(a, variables[l], transpose_b=True) + variables[3 + l]
            if l < 2:
                a = getattr(tf.nn, activation)(a)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, a))
        loss += 1e-3 / 2 * sum(tf.reduce_sum(W ** 2) for W in variables[:3])
    assert cost(net, x, labels) == pytest.approx(float(loss), rel=1e-12)
    net.backward(labels)
    for gradient, expected in zip(net.dW + net.db, tape.gradient(loss, variables)):
        np.testing.assert_allclose(gradient, expected.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("dropout", [(0, 0), (0.3, 0.4)])
def test_adversarial_step_goes_along_the_sign_of_the_input_gradient(activation, dropout):
    net = network((6, 5, 7, 4), activation, dropout=dropout, adversarial=0.1)
    x, labels = samples(8, 6, 4)
    numeric = numeric_gradient(lambda: cost(net, x, labels, mask_seed=5), x)
    moved = x.copy()
    net.rng = np.random.default_rng(5)
    net.perturb(moved, labels)
    numeric[np.abs(numeric) < 1e-9] = 0  # dropped inputs
    np.testing.assert_allclose(moved, x + 0.1 * np.sign(numeric), atol=1e-12)
    assert (moved != x).any()


def test_adversarial_training_moves_samples_and_leaves_the_given_ones_alone():
    net, seen = MLP((6, 5, 4), "relu", np.random.default_rng(0), adversarial=0.125), []
    x, labels = samples(20, 6, 4, dtype=np.float32)
    kept, backward = x.copy(), net.backward
    net.backward = lambda *given: (seen.append(net.seen[0].copy()), backward(*given))[1]
    net.train_epoch(x, labels, 20, 0.1)
    np.testing.assert_array_equal(x, kept)
    moved = np.sort(seen[0], axis=0) - np.sort(x, axis=0)  # it trains on samples that were moved
    assert 0 < np.abs(moved).max() <= 0.1251


def test_relu_slope_is_zero_or_one_and_nothing_else():
    assert relu_slope(np.array([0.0, 1e-30, 3.0])).tolist() == [0, 1, 1]


def test_minibatch_gradient_is_the_mean_of_its_samples_gradients():
    net = network((6, 5, 4))
    x, labels = samples(10, 6, 4)
    single = []
    for i in range(10):
        net.forward(x[i:i + 1])
        net.backward(labels[i:i + 1])
        single.append([g.copy() for g in net.dW + net.db])
    net.forward(x)
    net.backward(labels)
    for gradient, *each in zip(net.dW + net.db, *single):
        np.testing.assert_allclose(gradient, np.mean(each, axis=0), atol=1e-14)


def test_backward_twice_gives_the_same_and_writes_to_nothing_of_the_caller():
    net = network((6, 5, 7, 4), dropout=(0.2, 0.5), l2=0.1)
    x, labels = samples(9, 6, 4)
    kept = x.copy(), labels.copy()
    p = net.forward(x, dropout=True)
    p_kept = p.copy()
    net.backward(labels)
    first = [g.copy() for g in net.dW + net.db]
    net.backward(labels)
    for once, twice in zip(first, net.dW + net.db):
        np.testing.assert_array_equal(once, twice)
    for given, before in zip((x, labels, p), (*kept, p_kept)):
        np.testing.assert_array_equal(given, before)


def test_softmax_is_stable_and_takes_each_rows_own_maximum():
    with np.errstate(all="raise", under="ignore"):
        p = softmax(np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [0.0, np.log(2), -np.inf]]))
    np.testing.assert_allclose(p, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [1 / 3, 2 / 3, 0]], atol=1e-15)


def test_cross_entropy_of_zero_output_weights_is_the_log_of_the_number_of_classes():
    net = network((6, 5, 10))
    net.W[-1][:], net.b[-1][:] = 0, 0
    x, labels = samples(20, 6, 10)
    assert cross_entropy(net.forward(x), labels) == pytest.approx(np.log(10), rel=1e-12)


def test_cross_entropy_of_an_impossible_class_is_finite():
    assert np.isfinite(cross_entropy(np.array([[1.0, 0.0]], np.float32), np.array([1])))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}])
def test_overfits_twenty_samples(activation, options):
    net = MLP((30, 40, 10), activation, np.random.default_rng(0), **options)
    x, labels = samples(20, 30, 10, dtype=np.float32)
    for _ in range(300):
        net.train_epoch(x, labels, 5, 0.05)
    assert net.correct(x, labels) == 20


def test_step_is_sgd_with_momentum():
    net = network((3, 4, 2), momentum=0.5)
    W, g1, g2 = net.W[0].copy(), np.full((4, 3), 2.0), np.full((4, 3), -1.0)
    net.dW[0][:] = 0.1 * g1
    net.step()
    net.dW[0][:] = 0.2 * g2
    net.step()  # v1 = -0.1 g1, v2 = 0.5 v1 - 0.2 g2
    np.testing.assert_allclose(net.W[0], W - 0.1 * g1 + (0.5 * -0.1 * g1 - 0.2 * g2))


@pytest.mark.parametrize("l2", [0, 0.3])
def test_rate_multiplies_the_gradients_of_cost_and_penalty(l2):
    net = network((6, 5, 4), l2=l2)
    x, labels = samples(8, 6, 4)
    net.forward(x)
    net.backward(labels)
    gradients = [g.copy() for g in net.dW + net.db]
    net.backward(labels, 0.25)
    for gradient, scaled in zip(gradients, net.dW + net.db):
        np.testing.assert_allclose(scaled, 0.25 * gradient, atol=1e-15)


def test_plain_step_reaches_every_row_of_a_matrix_larger_than_a_block():
    net = network((3, 150, 2))
    before = [p.copy() for p in net.W + net.b]
    for gradient in net.dW + net.db:
        gradient[:] = 0.25
    net.step()
    for parameter, kept in zip(net.W + net.b, before):
        np.testing.assert_allclose(parameter, kept - 0.25)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}])
def test_max_norm_holds_after_updates_and_leaves_shorter_rows_and_the_output_alone(options):
    net = network((20, 100, 3), max_norm=1.5, **options)
    net.W[0][:50] *= 10
    net.W[0][50:] *= 0.1 / np.linalg.norm(net.W[0][50:], axis=1, keepdims=True)
    net.W[-1] *= 100
    directions, short, output = net.W[0][:50].copy(), net.W[0][50:].copy(), net.W[-1].copy()
    for gradient in net.dW + net.db:
        gradient[:] = 0
    net.step()
    np.testing.assert_allclose(np.linalg.norm(net.W[0][:50], axis=1), 1.5)
    np.testing.assert_allclose(net.W[0][:50] / 1.5, directions / np.linalg.norm(directions, axis=1, keepdims=True))
    np.testing.assert_array_equal(net.W[0][50:], short)
    np.testing.assert_array_equal(net.W[-1], output)


def test_dropout_keeps_the_expectation_and_drops_the_share_it_should():
    net = MLP((400, 500, 10), "relu", np.random.default_rng(0), dropout=(0.2, 0.5), dtype=np.float64)
    x = np.ones((200, 400))
    net.forward(x, dropout=True)
    seen_input, seen_hidden = net.seen
    assert np.mean(seen_input == 0) == pytest.approx(0.2, abs=0.01)
    assert set(np.unique(seen_input)) == {0, 1 / 0.8}
    factors = net._arrays(200)[1][1]
    assert np.mean(factors == 0) == pytest.approx(0.5, abs=0.01)
    assert factors.mean() == pytest.approx(1, abs=0.02)
    hidden = net._arrays(200)[0][1]
    np.testing.assert_array_equal(seen_hidden, hidden * factors)


def test_no_dropout_in_feedforward():
    x, _ = samples(5, 6, 4)
    net = network((6, 5, 4), dropout=(0.5, 0.5))
    np.testing.assert_array_equal(net.forward(x), net.forward(x))
    np.testing.assert_array_equal(net.forward(x), network((6, 5, 4)).forward(x))


def test_an_epoch_draws_every_sample_once_in_random_order():
    x, labels = np.arange(47, dtype=np.float32)[:, None] + 1, np.zeros(47, int)
    net, drawn = MLP((1, 2, 2), "relu", np.random.default_rng(0)), []
    backward, forward = net.backward, net.forward
    net.forward = lambda batch, dropout: (drawn.append(batch.copy()), forward(batch, dropout))[1]
    net.backward = lambda chosen, rate: (drawn.append(len(chosen)), backward(chosen, rate))[1]
    net.train_epoch(x, labels, 10, 0.0)
    order = np.concatenate(drawn[::2]).ravel()
    assert [len(batch) for batch in drawn[::2]] == drawn[1::2] == [10, 10, 10, 10, 7]
    assert sorted(order) == list(x.ravel()) and list(order) != list(x.ravel())


def test_correct_counts_over_chunks():
    net = network((6, 5, 4))
    x, labels = samples(53, 6, 4)
    right = int((net.forward(x).argmax(axis=1) == labels).sum())
    assert net.correct(x, labels, batch_size=10) == right and 0 < right < 53


@pytest.mark.parametrize("activation, deviation", [("relu", (2 / 400) ** 0.5), ("tanh", (2 / 900) ** 0.5)])
def test_initial_weights_have_the_published_spread(activation, deviation):
    net = MLP((400, 500, 10), activation, np.random.default_rng(0))
    assert net.W[0].std() == pytest.approx(deviation, rel=0.02)
    assert net.W[0].dtype == np.float32 and not net.b[0].any()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_parameter_file_round_trips(tmp_path, activation):
    net = network((6, 5, 7, 4), activation, dtype=np.float32)
    write_parameters(tmp_path / "p.hdf5", net)
    with h5py.File(tmp_path / "p.hdf5") as file:
        assert sorted(file) == ["W1", "W2", "W3", "b1", "b2", "b3"] and file["W1"].shape == (5, 6)
    x = samples(3, 6, 4, dtype=np.float32)[0]
    np.testing.assert_array_equal(read_parameters(tmp_path / "p.hdf5").forward(x), net.forward(x))


def test_the_courses_parameter_file_without_activation_is_a_relu_network(tmp_path):
    net = network((6, 5, 4), dtype=np.float32)
    with h5py.File(tmp_path / "p.hdf5", "w") as file:
        for l in (1, 2):
            file[f"W{l}"], file[f"b{l}"] = net.W[l - 1].astype(float), net.b[l - 1].astype(float)
    x = samples(3, 6, 4, dtype=np.float32)[0]
    np.testing.assert_array_equal(read_parameters(tmp_path / "p.hdf5").forward(x), net.forward(x))


@pytest.mark.parametrize("shapes", [[], [((5, 6), (4,))], [((5, 6), (5,)), ((4, 6), (4,))]])
def test_a_parameter_file_that_is_no_network_is_refused(tmp_path, shapes):
    with h5py.File(tmp_path / "p.hdf5", "w") as file:
        for l, (W, b) in enumerate(shapes, start=1):
            file[f"W{l}"], file[f"b{l}"] = np.zeros(W), np.zeros(b)
    with pytest.raises(ValueError, match="p.hdf5"):
        read_parameters(tmp_path / "p.hdf5")
