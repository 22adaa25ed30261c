"""A multilayer perceptron and its backpropagation, in numpy and nothing else.

Read it beside the lecture notes. In the formulas a sample is a column; in the code samples are
rows, so that W a is written a @ W.T. For layers l = 1 ... L, with a[0] = x the input:

    forward    z[l] = W[l] a[l-1] + b[l],  a[l] = h(z[l]);  the last layer: p = softmax(z[L])
    cost       C_i = -ln p[label] of a sample;  C = mean of C_i over the minibatch
               + l2/2 * sum of all W squared
    backward   delta[l] = dC_i/dz[l]:
               delta[L] = p - y     as C_i = -z[label] + ln sum_k exp(z[k]); y is one-hot
               delta[l] = (W[l+1]^T delta[l+1]) * h'(z[l])
               dC/dW[l] = mean of delta[l] a[l-1]^T,  + l2 W[l];  dC/db[l] = mean of delta[l]
    update     W[l] <- W[l] - learning_rate dC/dW[l],  and so for b[l]
    input      dC_i/dx = W[1]^T delta[1]   the same rule one layer further down: which way to change
               a sample so that its cost grows

Formulas: Nielsen, "Neural Networks and Deep Learning" (2015), chapters 2 and 3. The last one is for
adversarial training: each sample is replaced by its adversarial example, a step of length epsilon
along the gradient of its own cost (fast gradient method: Goodfellow et al. 2015, arXiv 1412.6572;
with the Euclidean length: Miyato et al. 2017, arXiv 1605.07725, eq. 5). The lists W, b, a and delta
are indexed as in the formulas; W[0], b[0] and delta[0] are None.
"""
import numpy as np


def relu(z):
    """h(z) = max(z, 0)."""
    return np.maximum(z, 0)


def relu_derivative(a):
    """h'(z) from the output a = h(z): 1 where a > 0, else 0 (also at z = 0)."""
    return a > 0


def tanh_derivative(a):
    """h'(z) from the output a = h(z): 1 - a^2."""
    return 1 - a * a


ACTIVATIONS = {"ReLU": (relu, relu_derivative), "tanh": (np.tanh, tanh_derivative)}


def initial_standard_deviation(activation, n_in, n_out):
    """For ReLU sqrt(2/n_in), He et al. 2015 (arXiv 1502.01852, eq. 10); for tanh
    sqrt(2/(n_in + n_out)), Glorot and Bengio 2010 (AISTATS, eq. 12)."""
    return (2 / n_in) ** 0.5 if activation == "ReLU" else (2 / (n_in + n_out)) ** 0.5


def softmax(z):
    """p[k] = exp(z[k]) / sum_j exp(z[j]) for each row of z. Subtracting the row's maximum changes
    nothing, but keeps exp() from overflowing."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


class MLP:
    """Fully connected layers with a softmax output, trained by plain SGD.

    sizes       neurons per layer, input and output included, for example (784, 300, 300, 10)
    activation  "ReLU" or "tanh", of every hidden layer
    rng         numpy.random.default_rng(seed): initial weights, then the order of the samples
    epsilon     Euclidean length of the step to an adversarial example; 0: train on plain samples
    l2          coefficient of the penalty on W; Keras' L2 has no 1/2; no penalty on b
    dtype       float32 to train, float64 to check gradients

    W[l] is (neurons of layer l, neurons of layer l-1), b[l] is (neurons of layer l,); dW and db
    are the gradients of the last backward().
    """

    def __init__(self, sizes, activation, rng, *, epsilon=0.0, l2=0.0, dtype=np.float32):
        self.L = len(sizes) - 1
        self.rng, self.epsilon, self.l2 = rng, epsilon, l2
        self.h, self.derivative = ACTIVATIONS[activation]
        self.W, self.b = [None], [None]
        for n_in, n_out in zip(sizes, sizes[1:]):
            sd = initial_standard_deviation(activation, n_in, n_out)
            self.W.append(rng.normal(0, sd, (n_out, n_in)).astype(dtype))
            self.b.append(np.zeros(n_out, dtype))

    def forward(self, x):
        """The class probabilities p (n, classes) of the samples x (n, inputs).

        Keeps all a[l], for errors(), backward() and adversarial(); the next forward(), also that
        of accuracy() and probabilities(), replaces them."""
        self.a = [x]
        for l in range(1, self.L + 1):
            z = self.a[l - 1] @ self.W[l].T + self.b[l]             # z[l] = W[l] a[l-1] + b[l]
            self.a.append(self.h(z) if l < self.L else softmax(z))  # a[l] = h(z[l])
        return self.a[self.L]

    def cost(self, x, labels):
        """Cross entropy, the mean of -ln p[label], and the L2 penalty. labels (n,) are integers.

        To check gradients with: training needs the gradient, not the cost."""
        p_label = self.forward(x)[np.arange(len(x)), labels]
        penalty = self.l2 / 2 * sum((W ** 2).sum() for W in self.W[1:])
        return -np.log(np.maximum(p_label, np.finfo(x.dtype).tiny)).mean() + penalty

    def errors(self, labels):
        """[None, delta[1], ..., delta[L]] of the samples of the last forward().

        delta[l] is (n, neurons of layer l), each row that of one sample's own cost, -ln p[label].
        """
        delta = [None] * (self.L + 1)
        delta[self.L] = self.a[self.L].copy()
        delta[self.L][np.arange(len(labels)), labels] -= 1          # delta[L] = p - y
        for l in range(self.L - 1, 0, -1):
            delta[l] = delta[l + 1] @ self.W[l + 1]                 # W[l+1]^T delta[l+1]
            delta[l] *= self.derivative(self.a[l])                  # * h'(z[l])
        return delta

    def backward(self, labels):
        """Set dW and db to the gradients of the cost over the samples of the last forward()."""
        self.dW, self.db = [None], [None]
        for l, delta in enumerate(self.errors(labels)[1:], start=1):
            delta /= len(labels)                                    # so that sums are means
            self.dW.append(delta.T @ self.a[l - 1])                 # dC/dW[l]: delta[l] a[l-1]^T
            self.db.append(delta.sum(axis=0))                       # dC/db[l]: delta[l]
            if self.l2:
                self.dW[l] += self.l2 * self.W[l]                   # + l2 W[l]

    def step(self, learning_rate):
        """One update of W and b, in place, by gradient descent."""
        for l in range(1, self.L + 1):
            self.W[l] -= learning_rate * self.dW[l]
            self.b[l] -= learning_rate * self.db[l]

    def adversarial(self, labels):
        """The adversarial examples (n, inputs) of the samples of the last forward(). They may leave
        the inputs' range, 0 to 1 for pixels."""
        dx = self.errors(labels)[1] @ self.W[1]                     # dC_i/dx = W[1]^T delta[1]
        length = np.linalg.norm(dx, axis=1, keepdims=True)
        return self.a[0] + dx * (self.epsilon / np.maximum(length, 1e-12))  # no gradient: no step

    def train_epoch(self, x, labels, batch_size, learning_rate):
        """One epoch of minibatch SGD: every sample of x (N, inputs) once, in random order.
        Returns the share of the samples that the network has right as it meets them."""
        order = self.rng.permutation(len(x))
        right = 0
        for start in range(0, len(x), batch_size):
            chosen = order[start:start + batch_size]
            p = self.forward(x[chosen])
            right += (p.argmax(axis=1) == labels[chosen]).sum()
            if self.epsilon:
                # The gradients that follow are those of the adversarial examples.
                self.forward(self.adversarial(labels[chosen]))
            self.backward(labels[chosen])
            self.step(learning_rate)
        return float(right / len(x))

    def probabilities(self, x):
        """p (N, classes) of any number of samples x (N, inputs), 1,000 at a time."""
        return np.concatenate([self.forward(x[i:i + 1000]) for i in range(0, len(x), 1000)])

    def accuracy(self, x, labels):
        """Share of the samples whose most probable class is their label."""
        return float((self.probabilities(x).argmax(axis=1) == labels).mean())
