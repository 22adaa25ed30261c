"""A multilayer perceptron and its backpropagation in numpy, and nothing else.

Read it beside the lecture notes. For layers l = 1 ... L, with a[0] = x the input:

    forward    z[l] = W[l] a[l-1] + b[l],  a[l] = h(z[l]),  the last layer: p = softmax(z[L])
    cost       C = mean over the minibatch of -ln p[label]  +  l2/2 * sum of all W squared
    backward   delta[L]   = (p - y) / n                        y: one-hot label, n: minibatch size
               delta[l]   = (W[l+1]^T delta[l+1]) * h'(z[l])   h' written with the output a[l]
               dC/dW[l]   = delta[l] a[l-1]^T + l2 W[l],  dC/db[l] = delta[l], summed over the minibatch
    update     v <- momentum v - rate dC/dW,  W <- W + v       (momentum 0: plain SGD)
               The learning rate multiplies delta[L], and so everything behind it: a few numbers
               for each sample instead of every weight.

Formulas: Nielsen, "Neural Networks and Deep Learning" (2015), chapters 2 and 3; Goodfellow,
Bengio and Courville, "Deep Learning" (2016), sections 6.5 and 8.3. A sample is a row here, so
that W a is written a @ W.T. In the code the lists W and b start at 0: W[0] is the first junction.
"""

import h5py  # only to write and read parameter files
import numpy as np


def relu(z, out=None):
    """h(z) = max(z, 0)."""
    return np.maximum(z, 0, out=out)


def relu_slope(a):
    """h'(z) from the output a = h(z): 1 where a > 0, else 0 (also at z = 0)."""
    return a > 0


def tanh(z, out=None):
    """h(z) = tanh(z)."""
    return np.tanh(z, out=out)


def tanh_slope(a):
    """h'(z) from the output a = h(z): 1 - a^2."""
    return 1 - a * a


ACTIVATIONS = {"relu": (relu, relu_slope), "tanh": (tanh, tanh_slope)}
BLOCK = 64  # rows of W updated at a time: they stay in the processor's cache from pass to pass


def initial_deviation(activation, n_in, n_out):
    """Standard deviation of initial weights: He et al. 2015 (arXiv 1502.01852, eq. 10) for ReLU,
    Glorot and Bengio 2010 (AISTATS, eq. 12) for tanh."""
    return (2 / n_in) ** 0.5 if activation == "relu" else (2 / (n_in + n_out)) ** 0.5


def softmax(z):
    """p[k] = exp(z[k]) / sum_j exp(z[j]) for each row of z; each row's maximum is subtracted first,
    which changes nothing but keeps exp() from overflowing."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(p, labels):
    """Mean over the rows of -ln p[label]; p (n, classes), labels (n,) integers."""
    chosen = p[np.arange(len(labels)), labels]
    return -np.mean(np.log(np.maximum(chosen, np.finfo(p.dtype).tiny)))


class MLP:
    """A network of fully connected layers with a softmax output.

    sizes       neurons per layer, input and output included, for example (784, 512, 10)
    activation  "relu" or "tanh", of every hidden layer
    rng         numpy.random.default_rng(seed): the initial weights, then the order of samples and dropout
    l2          coefficient of the penalty l2/2 * sum of W squared (biases are free)
    dropout     (input, hidden) rates; what stays is divided by 1 - rate, so that the expectation
                does not change (Srivastava et al. 2014, JMLR 15:1929, sections 4 and 10)
    momentum    0 is plain SGD (Sutskever et al. 2013, ICML, eq. 1 and 2)
    max_norm    cap on the Euclidean norm of a hidden neuron's incoming weights, restored after
                every update (Srivastava et al. 2014, section 5.1); None is no cap
    adversarial step by which each training sample is first moved along the sign of its cost's gradient
                (fast gradient sign method, Goodfellow et al. 2015, arXiv 1412.6572, section 4; they
                train on moved and unmoved samples, here all are moved, and not clipped); 0: none is
    dtype       float32 to train, float64 to check gradients

    W[l] is (neurons out, neurons in), b[l] is (neurons out,); dW, db hold the last gradients.
    """

    def __init__(self, sizes, activation, rng, *, l2=0.0, dropout=(0.0, 0.0), momentum=0.0,
                 max_norm=None, adversarial=0.0, dtype=np.float32):
        self.activation, self.rng = activation, rng
        self.l2, self.dropout, self.momentum = l2, dropout, momentum
        self.max_norm, self.adversarial = max_norm, adversarial
        self.W = [rng.normal(0, initial_deviation(activation, n, m), (m, n)).astype(dtype)
                  for n, m in zip(sizes, sizes[1:])]
        self.b = [np.zeros(m, dtype) for m in sizes[1:]]
        self.dW, self.db = [np.zeros_like(W) for W in self.W], [np.zeros_like(b) for b in self.b]
        self.vW, self.vb = [np.zeros_like(W) for W in self.W], [np.zeros_like(b) for b in self.b]
        self._buffers = {}

    def _arrays(self, n):
        """Buffers for n samples, allocated once: outputs a, dropout factors r, outputs after dropout d
        and errors delta, each a list with an (n, neurons) array per layer, the input layer first."""
        if n not in self._buffers:
            sizes = [self.W[0].shape[1]] + [len(W) for W in self.W]
            self._buffers[n] = [[np.empty((n, m), self.W[0].dtype) for m in sizes] for _ in range(4)]
        return self._buffers[n]

    def _drop(self, a, r, d, rate):
        """d = a * r, where r is 0 with probability rate and 1/(1 - rate) otherwise; a itself at rate 0."""
        if not rate:
            return a
        # 16 random bits decide on an entry: a third of the time of a float32 random number each.
        bits = self.rng.bit_generator.random_raw(r.size // 4 + 1).view(np.uint16)[:r.size].reshape(r.shape)
        np.greater_equal(bits, round(rate * 65536), out=r)
        r *= 1 / (1 - rate)
        return np.multiply(a, r, out=d)

    def forward(self, x, dropout=False):
        """Return the class probabilities (n, classes) of the samples x (n, inputs).

        What backward() needs is kept until the next call. With dropout=True neurons are dropped,
        as in training."""
        h, _ = ACTIVATIONS[self.activation]
        a, r, d, _ = self._arrays(len(x))
        self.rates = self.dropout if dropout else (0, 0)
        self.seen = [self._drop(x, r[0], d[0], self.rates[0])]             # what each junction sees
        for l, (W, b) in enumerate(zip(self.W, self.b), start=1):
            z = np.matmul(self.seen[-1], W.T, out=a[l])                    # z = W a + b
            z += b
            if l < len(self.W):
                h(z, out=a[l])                                             # a = h(z)
                self.seen.append(self._drop(a[l], r[l], d[l], self.rates[1]))
        self.p = softmax(z)
        return self.p

    def _deltas(self, labels, rate, lowest):
        """rate * delta[l] for the samples of the last forward(), for the layers from L down to `lowest`."""
        _, slope = ACTIVATIONS[self.activation]
        n, top = len(labels), len(self.W)
        a, r, _, delta = self._arrays(n)
        np.copyto(delta[top], self.p)
        delta[top][np.arange(n), labels] -= 1
        delta[top] *= rate / n                                             # delta[L] = (p - y) / n
        for l in range(top - 1, lowest - 1, -1):
            np.matmul(delta[l + 1], self.W[l], out=delta[l])               # W^T delta
            if l > 0:
                delta[l] *= slope(a[l])                                    # * h'(z)
            if self.rates[l > 0]:
                delta[l] *= r[l]                                           # what was dropped has no share
        return delta

    def backward(self, labels, rate=1.0):
        """Set dW and db to `rate` times the gradients of the cost over the samples of the last forward().

        labels (n,) are integers. Only dW, db and the delta buffers are written, so a second call
        gives the same gradients."""
        delta = self._deltas(labels, rate, lowest=1)
        for l, W in enumerate(self.W):
            np.matmul(delta[l + 1].T, self.seen[l], out=self.dW[l])        # dC/dW = delta a^T
            np.sum(delta[l + 1], axis=0, out=self.db[l])                   # dC/db = delta
            if self.l2:
                self.dW[l] += rate * self.l2 * W                           #         + l2 W

    def perturb(self, x, labels):
        """Move each sample of x (n, inputs), in place, by `adversarial` along the sign of dC/dx:
        to where the cost, under dropout, is higher."""
        self.forward(x, dropout=True)
        direction = self._deltas(labels, rate=1.0, lowest=0)[0]            # dC/dx
        np.sign(direction, out=direction)
        direction *= self.adversarial
        x += direction

    def step(self):
        """One update of W and b, in place, by dW and db, which hold rate times the gradients."""
        for parameter, gradient, velocity in zip(self.W + self.b, self.dW + self.db, self.vW + self.vb):
            for start in range(0, len(parameter), BLOCK):
                w, g, v = (array[start:start + BLOCK] for array in (parameter, gradient, velocity))
                if self.momentum:
                    v *= self.momentum                                     # v = momentum v - rate dC/dW
                    v -= g
                    w += v                                                 # W = W + v
                else:
                    w -= g                                                 # W = W - rate dC/dW
                if self.max_norm and w.ndim == 2 and parameter is not self.W[-1]:
                    norm = np.sqrt(np.vecdot(w, w))
                    if norm.max() > self.max_norm:
                        w *= np.minimum(1, self.max_norm / np.maximum(norm, 1e-30))[:, None]

    def train_epoch(self, x, labels, batch_size, rate):
        """One epoch of minibatch SGD: every sample once, in random order. x is (N, inputs), labels (N,)."""
        order = self.rng.permutation(len(x))
        batch = np.empty((batch_size, x.shape[1]), x.dtype)
        for start in range(0, len(x), batch_size):
            chosen = order[start:start + batch_size]
            minibatch = np.take(x, chosen, axis=0, out=batch[:len(chosen)], mode="clip")
            if self.adversarial:
                self.perturb(minibatch, labels[chosen])
            self.forward(minibatch, dropout=True)
            self.backward(labels[chosen], rate)
            self.step()

    def correct(self, x, labels, batch_size=1000):
        """Number of samples whose most probable class is their label, without dropout."""
        return sum(int(np.count_nonzero(self.forward(x[s:s + batch_size]).argmax(axis=1) == labels[s:s + batch_size]))
                   for s in range(0, len(x), batch_size))


def write_parameters(path, network):
    """Write W1, b1, W2, b2, ... and the activation, as an attribute, to an HDF5 file: the course's
    own format, W of shape (neurons out, neurons in), b (neurons,)."""
    with h5py.File(path, "w") as file:
        file.attrs["activation"] = network.activation
        for l, (W, b) in enumerate(zip(network.W, network.b), start=1):
            file[f"W{l}"], file[f"b{l}"] = W, b


def read_parameters(path, dtype=np.float32):
    """Return the MLP that a file of write_parameters(), or of the course, describes.

    The course's file has no activation attribute: its network is ReLU. Raises ValueError where W
    and b do not make a network, OSError where the file cannot be read."""
    with h5py.File(path, "r") as file:
        activation = file.attrs.get("activation", "relu")
        junctions = [(file[f"W{l}"][:], file[f"b{l}"][:].ravel())
                     for l in range(1, len(file) // 2 + 1) if f"W{l}" in file and f"b{l}" in file]
    sizes = [W.shape[1] for W, _ in junctions[:1]] + [len(b) for _, b in junctions]
    if not junctions or any(W.shape != shape for (W, _), shape in zip(junctions, zip(sizes[1:], sizes))):
        raise ValueError(f"{path}: W1, b1, W2, b2, ... of fitting shapes expected, "
                         f"found {[(W.shape, b.shape) for W, b in junctions]}")
    network = MLP(sizes, activation, np.random.default_rng(0), dtype=dtype)
    network.W, network.b = [W.astype(dtype) for W, _ in junctions], [b.astype(dtype) for _, b in junctions]
    return network
