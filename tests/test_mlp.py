"""The numpy MLP: gradients against central differences and TensorFlow, and what training keeps."""
import numpy as np
import pytest
from check_gradients import (central_differences, error_against_tensorflow, network, samples,
                             tensorflow_cost_and_gradients)

from mlp import MLP, relu_derivative, softmax


def parameters(net):
    return [*net.W[1:], *net.b[1:]]


def gradients(net):
    return [*net.dW[1:], *net.db[1:]]


def relative_error(one, other):
    assert np.abs(other).max() > 1e-5  # something to compare
    return np.linalg.norm(one - other) / np.linalg.norm(one + other)


@pytest.mark.parametrize("activation", ["ReLU", "tanh"])
@pytest.mark.parametrize("sizes", [(6, 5, 4), (6, 5, 7, 3)])
@pytest.mark.parametrize("l2", [0, 0.3])
def test_gradients_equal_central_differences(activation, sizes, l2):
    net = network(sizes, activation, l2=l2)
    x, labels = samples(8, sizes[0], sizes[-1])
    net.forward(x)
    net.backward(labels)
    for parameter, gradient in zip(parameters(net), gradients(net)):
        differences = central_differences(lambda: net.cost(x, labels), parameter)
        assert relative_error(gradient, differences) < 1e-6


@pytest.mark.parametrize("activation", ["ReLU", "tanh"])
@pytest.mark.parametrize("sizes", [(6, 4), (6, 5, 4), (6, 5, 7, 3)])
def test_input_gradient_of_each_sample_is_that_of_its_own_cost(activation, sizes):
    net = network(sizes, activation)
    x, labels = samples(8, sizes[0], sizes[-1])
    net.forward(x)
    dx = net.errors(labels)[1] @ net.W[1]
    for i in range(len(x)):
        one, label = x[i:i + 1].copy(), labels[i:i + 1]
        differences = central_differences(lambda: net.cost(one, label), one)
        assert relative_error(dx[i], differences[0]) < 1e-6


@pytest.mark.parametrize("activation", ["ReLU", "tanh"])
def test_cost_and_gradients_equal_tensorflows_on_a_real_sized_network(activation):
    assert error_against_tensorflow(activation) < 1e-9
    net = network((784, 300, 100, 10), activation, l2=1e-3)
    x, labels = samples(100, 784, 10)
    cost, _ = tensorflow_cost_and_gradients(net, activation, x, labels)
    assert net.cost(x, labels) == pytest.approx(cost, rel=1e-12)


@pytest.mark.parametrize("activation", ["ReLU", "tanh"])
def test_adversarial_examples_are_epsilon_up_the_gradient_and_cost_more(activation):
    net = network((6, 5, 7, 4), activation, epsilon=0.1)
    x, labels = samples(8, 6, 4)
    kept = x.copy()
    net.forward(x)
    examples = net.adversarial(labels)
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_allclose(np.linalg.norm(examples - x, axis=1), 0.1)
    for i in range(len(x)):
        one, label = x[i:i + 1].copy(), labels[i:i + 1]
        uphill = central_differences(lambda: net.cost(one, label), one)[0]
        step = 0.1 * uphill / np.linalg.norm(uphill)
        np.testing.assert_allclose((examples - x)[i], step, atol=1e-7)
        assert net.cost(examples[i:i + 1], label) > net.cost(one, label)


def test_a_sample_without_a_gradient_is_its_own_adversarial_example():
    net = network((6, 5, 4), epsilon=0.7, dtype=np.float32)
    net.W[2] *= 0
    net.b[2][:] = [0, 0, 0, 200]  # the last class is certain
    x, _ = samples(3, 6, 4, dtype=np.float32)
    net.forward(x)
    np.testing.assert_array_equal(net.adversarial(np.full(3, 3)), x)


def test_relu_derivative_is_zero_or_one_and_zero_at_zero():
    assert relu_derivative(np.array([0.0, 1e-30, 3.0])).tolist() == [0, 1, 1]


def test_backward_twice_gives_the_same_and_writes_to_nothing_of_the_caller():
    net = network((6, 5, 7, 4), l2=0.1)
    x, labels = samples(9, 6, 4)
    p = net.forward(x)
    kept = x.copy(), labels.copy(), p.copy()
    net.backward(labels)
    first = [gradient.copy() for gradient in gradients(net)]
    net.backward(labels)
    for once, twice in zip(first, gradients(net)):
        np.testing.assert_array_equal(once, twice)
    for given, before in zip((x, labels, p), kept):
        np.testing.assert_array_equal(given, before)


def test_softmax_is_stable_and_takes_each_rows_own_maximum():
    z = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [0.0, np.log(2), -np.inf]])
    with np.errstate(all="raise", under="ignore"):
        p = softmax(z)
    np.testing.assert_allclose(p, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [1 / 3, 2 / 3, 0]], atol=1e-15)


def test_cost_of_an_impossible_class_is_finite():
    net = network((6, 5, 4), dtype=np.float32)
    net.b[2][:] = [0, 0, 0, 500]
    assert np.isfinite(net.cost(samples(3, 6, 4, dtype=np.float32)[0], np.zeros(3, int)))


def test_step_is_gradient_descent():
    net = network((3, 4, 2))
    before = [array.copy() for array in parameters(net)]
    x, labels = samples(5, 3, 2)
    net.forward(x)
    net.backward(labels)
    net.step(0.25)
    for after, kept, gradient in zip(parameters(net), before, gradients(net)):
        np.testing.assert_allclose(after, kept - 0.25 * gradient, atol=1e-15)


def test_an_epoch_draws_every_sample_once_in_random_order():
    x, labels = np.arange(47, dtype=np.float32)[:, None] + 1, np.zeros(47, int)
    net, drawn, rates = MLP((1, 2, 2), "ReLU", np.random.default_rng(0)), [], []
    forward = net.forward

    def recorded(batch):
        drawn.append(batch.copy())
        return forward(batch)
    net.forward, net.step = recorded, rates.append
    net.train_epoch(x, labels, 10, 0.3)
    order = np.concatenate(drawn).ravel().tolist()
    assert [len(batch) for batch in drawn] == [10, 10, 10, 10, 7] and rates == 5 * [0.3]
    assert sorted(order) == x.ravel().tolist() and order != x.ravel().tolist()
    drawn.clear()
    net.train_epoch(x, labels, 10, 0.3)
    next_order = np.concatenate(drawn).ravel().tolist()
    assert sorted(next_order) == x.ravel().tolist() and next_order != order


@pytest.mark.parametrize("epsilon", [0, 0.5])
def test_an_epoch_counts_each_plain_minibatch_before_it_is_learned_from(epsilon):
    """And, with epsilon, learns from its adversarial examples; the samples stay as they are."""
    net = network((6, 5, 4), epsilon=epsilon)
    other = network((6, 5, 4), epsilon=epsilon)
    x, labels = samples(405, 6, 4)
    kept = x.copy(), labels.copy()
    order, right = other.rng.permutation(405), 0
    for minibatch in np.split(order, range(10, 405, 10)):  # the last one is smaller
        right += (other.forward(x[minibatch]).argmax(axis=1) == labels[minibatch]).sum()
        if epsilon:
            other.forward(other.adversarial(labels[minibatch]))
        other.backward(labels[minibatch])
        other.step(5.0)
    assert net.train_epoch(x, labels, 10, 5.0) == right / 405
    assert right / 405 not in (net.accuracy(x, labels), network((6, 5, 4)).accuracy(x, labels))
    for found, expected in zip(parameters(net), parameters(other)):
        assert np.array_equal(found, expected)
    assert np.array_equal(x, kept[0]) and np.array_equal(labels, kept[1])


def test_accuracy_counts_over_chunks():
    net = network((6, 5, 4))
    x, labels = samples(2345, 6, 4)
    right = (net.forward(x).argmax(axis=1) == labels).mean()
    assert net.accuracy(x, labels) == pytest.approx(right) and 0 < right < 1


@pytest.mark.parametrize("activation, spread",
                         [("ReLU", (2 / 400) ** 0.5), ("tanh", (2 / 900) ** 0.5)])
def test_initial_weights_have_the_published_standard_deviation(activation, spread):
    net = MLP((400, 500, 10), activation, np.random.default_rng(0))
    assert net.W[1].shape == (500, 400) and net.W[1].std() == pytest.approx(spread, rel=0.02)
    assert net.W[1].dtype == np.float32 and not net.b[1].any()
