# SPDX-License-Identifier: Apache-2.0
"""Image classifiers. `real` has the published sizes; small keeps the depth, not the width."""
import numpy as np

from nn import Model, Net

SWISH_GAIN = 1.2


def image(rng, batch, channels, side):
    """Patches of colour under noise: images differ in more than their noise."""
    patches = rng.standard_normal((batch, channels, 4, 4)) * 1.5
    where = np.arange(side) * 4 // side
    noise = rng.standard_normal((batch, channels, side, side)) * 0.5
    return (patches[:, :, where][:, :, :, where] + noise).astype(np.float32)


def image_case(side, batch=1):
    return lambda rng: {"image": image(rng, batch, 3, side)}


def images(net, side):
    return net.input("image", [1, 3, side, side], features=3)


def finish(net, x, classes, side, gain=1.4, softmax=True):
    """The last layers of every classifier, and two images to try it on."""
    y = net.classifier(x, classes, gain)
    name = "probabilities" if softmax else "logits"
    net.output(name, net.op("Softmax", y, axis=1) if softmax else y, [1, classes])
    return Model(net.model(), [image_case(side)] * 2)


def conv_bn(net, x, features, kernel, stride=1, act=None, gain=1.0, **conv):
    """Convolution, normalisation, activation. Swish passes on less than ReLU: made good here."""
    gain = SWISH_GAIN * gain if act == net.swish else gain
    y = net.batch_norm(net.conv(x, features, kernel, stride, **conv), gain)
    return act(y) if act else y


def bottleneck(net, x, width, stride):
    """He et al. 2015, figure 5 right; the stride sits on the 3x3 convolution (version 1.5)."""
    y = conv_bn(net, x, width, 1, act=net.relu)
    y = conv_bn(net, y, width, 3, stride, act=net.relu)
    # A small gain keeps the sum of sixteen residual branches from growing.
    y = conv_bn(net, y, 4 * width, 1, gain=0.3)
    if stride != 1 or x.features != 4 * width:
        x = conv_bn(net, x, 4 * width, 1, stride, gain=0.7)
    return net.relu(net.op("Add", y, x))


def resnet50(real, softmax=True):
    """He et al. 2015, Deep residual learning for image recognition, table 1."""
    side, base, classes = (224, 64, 1000) if real else (48, 8, 40)
    net = Net("resnet50", seed=50)
    with net.scope("stem"):
        x = conv_bn(net, images(net, side), base, 7, 2, act=net.relu)
        x = net.max_pool(x, 3, 2, pad=1)
    for stage, blocks in enumerate([3, 4, 6, 3]):
        for block in range(blocks):
            with net.scope(f"layer{stage + 1}"), net.scope(block):
                x = bottleneck(net, x, base << stage, 2 if stage > 0 and block == 0 else 1)
    return finish(net, x, classes, side, softmax=softmax)


def inverted_residual(net, x, features, expand, stride):
    """Sandler et al. 2018, figure 4 (d)."""
    y = conv_bn(net, x, expand * x.features, 1, act=net.relu6) if expand > 1 else x
    y = conv_bn(net, y, y.features, 3, stride, act=net.relu6, group=y.features)
    y = conv_bn(net, y, features, 1, gain=0.7)
    return net.op("Add", x, y) if stride == 1 and x.features == features else y


def mobilenet_v2(real, softmax=True):
    """Sandler et al. 2018, MobileNetV2: inverted residuals and linear bottlenecks, table 2."""
    side, divide, classes = (224, 1, 1000) if real else (64, 8, 40)
    net = Net("mobilenet_v2", seed=52)
    with net.scope("stem"):
        x = conv_bn(net, images(net, side), 32 // divide, 3, 2, act=net.relu6)
    table = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
             (6, 160, 3, 2), (6, 320, 1, 1)]
    for stage, (expand, features, repeats, stride) in enumerate(table):
        for block in range(repeats):
            with net.scope(f"stage{stage + 1}"), net.scope(block):
                x = inverted_residual(net, x, features // divide, expand,
                                      stride if block == 0 else 1)
    with net.scope("head"):
        x = conv_bn(net, x, 1280 // divide, 1, act=net.relu6)
        return finish(net, x, classes, side, softmax=softmax)


def squeezenet(real):
    """Iandola et al. 2016, SqueezeNet, version 1.1: fire modules, no dense layer."""
    side, divide, classes = (224, 1, 1000) if real else (63, 4, 40)
    net = Net("squeezenet", seed=11)
    x = net.relu(net.conv(images(net, side), 64 // divide, 3, 2, bias=True, pad=0))
    for index, squeeze in enumerate([16, 16, 32, 32, 48, 48, 64, 64]):
        if index in (0, 2, 4):
            x = net.max_pool(x, 3, 2, ceil_mode=1)
        with net.scope(f"fire{index + 2}"):
            s = net.relu(net.conv(x, squeeze // divide, 1, bias=True))
            wide = [net.relu(net.conv(s, 4 * squeeze // divide, k, bias=True)) for k in (1, 3)]
            x = net.concat(wide)
    with net.scope("classifier"):
        x = net.conv(net.op("Dropout", x), classes, 1, bias=True, gain=1.0)
        x = net.op("Flatten", net.op("GlobalAveragePool", x), axis=1)
        net.output("probabilities", net.op("Softmax", x, axis=1), [1, classes])
    return Model(net.model(), [image_case(side)] * 2)


def densenet121(real):
    """Huang et al. 2016, Densely connected convolutional networks, table 1, k = 32."""
    side, growth, classes = (224, 32, 1000) if real else (64, 4, 40)
    net = Net("densenet121", seed=121)
    with net.scope("stem"):
        x = conv_bn(net, images(net, side), 2 * growth, 7, 2, act=net.relu)
        x = net.max_pool(x, 3, 2, pad=1)
    for stage, layers in enumerate([6, 12, 24, 16]):
        for layer in range(layers):
            with net.scope(f"dense{stage + 1}"), net.scope(layer):
                y = net.conv(net.relu(net.batch_norm(x)), 4 * growth, 1)
                y = net.conv(net.relu(net.batch_norm(y)), growth, 3)
                x = net.concat([x, y])
        if stage < 3:
            with net.scope(f"transition{stage + 1}"):
                y = net.conv(net.relu(net.batch_norm(x)), x.features // 2, 1)
                x = net.average_pool(y, 2, 2)
    return finish(net, net.relu(net.batch_norm(x)), classes, side, gain=1.5)


def factorised(net, x, width, features, kernels, stride=1):
    """A chain of convolutions: all but the last of one width."""
    for index, kernel in enumerate(kernels):
        last = index + 1 == len(kernels)
        x = conv_bn(net, x, features if last else width, kernel, stride if last else 1,
                    act=net.relu, **({"pad": 0} if last and stride == 2 else {}))
    return x


def inception(real):
    """Szegedy et al. 2015, Rethinking the Inception architecture: figures 5, 6, 7 and 10."""
    side, divide, classes = (299, 1, 1000) if real else (95, 16, 40)

    def n(features):
        return features // divide

    def pooled(features):
        return factorised(net, net.average_pool(x, 3, 1, pad=1), 0, features, [1])

    net = Net("inception", seed=3)
    x = images(net, side)
    with net.scope("stem"):
        x = conv_bn(net, x, n(32), 3, 2, act=net.relu, pad=0)
        x = conv_bn(net, x, n(32), 3, act=net.relu, pad=0)
        x = net.max_pool(conv_bn(net, x, n(64), 3, act=net.relu), 3, 2)
        x = conv_bn(net, x, n(80), 1, act=net.relu, pad=0)
        x = net.max_pool(conv_bn(net, x, n(192), 3, act=net.relu, pad=0), 3, 2)
    for block in range(3):
        with net.scope(f"a{block}"):
            x = net.concat([factorised(net, x, 0, n(64), [1]),
                            factorised(net, x, n(48), n(64), [1, 5]),
                            factorised(net, x, n(96), n(96), [1, 3, 3]), pooled(n(64))])
    with net.scope("b"):
        x = net.concat([factorised(net, x, 0, n(384), [3], stride=2),
                        factorised(net, x, n(96), n(96), [1, 3, 3], stride=2),
                        net.max_pool(x, 3, 2)])
    for block in range(4):
        with net.scope(f"c{block}"):
            x = net.concat([factorised(net, x, 0, n(192), [1]),
                            factorised(net, x, n(128), n(192), [1, (1, 7), (7, 1)]),
                            factorised(net, x, n(128), n(192), [1, (7, 1), (1, 7), (7, 1), (1, 7)]),
                            pooled(n(192))])
    with net.scope("d"):
        x = net.concat([factorised(net, x, n(192), n(320), [1, 3], stride=2),
                        factorised(net, x, n(192), n(192), [1, (1, 7), (7, 1), 3], stride=2),
                        net.max_pool(x, 3, 2)])
    for block in range(2):
        with net.scope(f"e{block}"):
            y = factorised(net, x, 0, n(384), [1])
            z = factorised(net, x, n(448), n(384), [1, 3])
            x = net.concat([factorised(net, x, 0, n(320), [1])] +
                           [factorised(net, t, 0, n(384), [k]) for t in (y, z)
                            for k in ((1, 3), (3, 1))] + [pooled(n(192))])
    return finish(net, x, classes, side, gain=0.7 if real else 4.0)


def squeeze_excite(net, x, inner):
    """Hu et al. 2017, figure 3."""
    y = net.op("ReduceMean", x, axes=[2, 3], keepdims=1)
    y = net.swish(net.conv(y, inner, 1, bias=True))
    y = net.conv(y, x.features, 1, bias=True, gain=0.05)
    return net.op("Mul", x, net.op("Sigmoid", y))


def mb_conv(net, x, features, expand, kernel, stride, gain):
    """An inverted residual with squeeze and excitation; Tan and Le 2019."""
    inner = max(1, x.features // 4)
    y = conv_bn(net, x, expand * x.features, 1, act=net.swish) if expand > 1 else x
    y = conv_bn(net, y, y.features, kernel, stride, act=net.swish, group=y.features, same=True)
    y = conv_bn(net, squeeze_excite(net, y, inner), features, 1, gain=gain)
    return net.op("Add", y, x) if stride == 1 and x.features == features else y


def efficientnet_b0(real):
    """Tan and Le 2019, EfficientNet: rethinking model scaling, table 1."""
    side, divide, classes, gain = (224, 1, 1000, 0.75) if real else (64, 4, 40, 1.1)
    net = Net("efficientnet_b0", seed=70)
    with net.scope("stem"):
        x = conv_bn(net, images(net, side), 32 // divide, 3, 2, act=net.swish, same=True)
    table = [(1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3),
             (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)]
    for stage, (expand, features, repeats, stride, kernel) in enumerate(table):
        for block in range(repeats):
            with net.scope(f"stage{stage + 1}"), net.scope(block):
                x = mb_conv(net, x, features // divide, expand, kernel,
                            stride if block == 0 else 1, gain)
    with net.scope("head"):
        x = conv_bn(net, x, 1280 // divide, 1, act=net.swish)
        return finish(net, x, classes, side)
