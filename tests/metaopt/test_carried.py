"""Residuals of a linear image, which a fit by steepest descent carries from step to step."""

import functools

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
from flax import struct

import metaopt

SAMPLES, SIZE, STEPS = 7, 3, 20  # so many that the backward pass recomputes segments of steps


class Hinge(struct.PyTreeNode):
    """Residuals that bend at zero, with a regularizer; a bias is no part of the image."""

    target: jax.Array
    strength: jax.Array

    def linear_image(self, params, batch):
        return batch @ params["w"].astype(batch.dtype)

    def __call__(self, params, batch, image=None):
        image = self.linear_image(params, batch) if image is None else image
        data = jnp.abs(image) + 0.5 * image - self.target + params["b"]
        return {"data": data, "regularizer": self.strength * params["w"]}


def problem(key=0, dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(key), 3)
    residuals = Hinge(jax.random.normal(keys[0], (SAMPLES,), dtype), jnp.asarray(0.1, dtype))
    params = {"w": jax.random.normal(keys[1], (SIZE,), dtype), "b": jnp.zeros((), dtype)}
    return residuals, params, jax.random.normal(keys[2], (SAMPLES, SIZE), dtype)


def fitted(residuals, params, batch, **options):
    return metaopt.fit(
        metaopt.SteepestDescent(jnp.log(0.7)), metaopt.LeastSquares(residuals), params, batch,
        observe=lambda p: jnp.sum(p["w"] ** 3), **{"steps": STEPS} | options,
    )  # fmt: skip


def outer(residuals, params, batch, weight, anew):
    """Of all that a fit returns; a plain function of the residuals hides their image."""
    given = (lambda p, b: residuals(p, b)) if anew else residuals
    result = fitted(given, params, batch)
    last = jnp.sum(result.params["w"] ** 2)
    return jnp.vdot(result.losses, weight) + result.observed.sum() + last


def test_values_and_derivatives_are_those_of_images_computed_anew():
    """Under vmap and jit, in float64; reverse mode, and forward mode over it."""
    with jax.enable_x64(True):
        given = jax.vmap(functools.partial(problem, dtype=jnp.float64))(jnp.arange(2))
        weight = jnp.cos(jnp.arange(STEPS + 1.0))

        @functools.partial(jax.jit, static_argnames="anew")
        def both(given, anew):
            loss = functools.partial(outer, anew=anew)
            one = lambda *given: jax.value_and_grad(loss, (0, 1, 2))(*given, weight)
            return jax.jvp(jax.vmap(one), given, given)

        carried, anew = both(given, anew=False), both(given, anew=True)
    for found, expected in zip(jax.tree.leaves(carried), jax.tree.leaves(anew), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def products(params, batch, **options):
    """The matrix products in the body of a fit's loop."""
    residuals, *_ = problem()
    program = jax.make_jaxpr(lambda p: fitted(residuals, p, batch, **options).params)(params)
    (loop,) = loops(program.jaxpr)
    return str(loop.params["jaxpr"]).count("dot_general[")


def loops(jaxpr):
    """The scans of a program, wherever they are."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "scan":
            yield eqn
        else:
            for inner in jax.extend.core.jaxprs_in_params(eqn.params):
                yield from loops(inner)


def test_a_step_takes_two_products_in_place_of_four():
    """L'r and L g; L p anew would be one for the step and one for the recorded loss."""
    _, params, batch = problem()
    few = {"steps": 2}
    assert products(params, batch, **few) == 2
    by_step = jnp.stack([batch] * 2)  # the image of one batch is not that of the next
    assert products(params, None, batches=by_step, **few) == 4
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    assert products(half, batch, **few) == 4
    assert products(params, batch.astype(jnp.bfloat16), **few) == 4
    for adjoint in (metaopt.Truncated(3), metaopt.FirstOrder(), metaopt.Unrolled(mixed_mode=True)):
        assert products(params, batch, adjoint=adjoint, **few) >= 4


def test_a_fit_that_stands_still_or_goes_on_carries_the_image_too():
    residuals, params, batch = problem()
    whole = fitted(residuals, params, batch, steps=4)
    first = fitted(residuals, params, batch, steps=3)
    rest = fitted(residuals, first.params, batch, steps=1, state=first.state)
    np.testing.assert_allclose(rest.params["w"], whole.params["w"], rtol=1e-5)
    np.testing.assert_allclose(rest.state.step_length, whole.state.step_length, rtol=1e-5)
    target = residuals.linear_image(params, batch)
    there = Hinge(jnp.abs(target) + 0.5 * target, jnp.zeros(()))
    np.testing.assert_allclose(fitted(there, params, batch, steps=3).params["w"], params["w"])


def test_the_derivative_by_the_batch_is_summed_after_the_loop():
    """No loop takes an array of the batch's size from step to step, though it is asked for."""
    residuals, params, batch = problem()
    loss = lambda batch, wrap: fitted(wrap(residuals), params, batch, steps=2).losses[-1]
    hidden = lambda residuals: lambda params, batch: residuals(params, batch)

    def taken_along(wrap):
        program = jax.make_jaxpr(jax.grad(lambda batch: loss(batch, wrap)))(batch)
        shapes = lambda eqn: [out.aval.shape for out in eqn.outvars[: eqn.params["num_carry"]]]
        return [shape for eqn in loops(program.jaxpr) for shape in shapes(eqn)]

    assert batch.shape in taken_along(hidden)
    assert batch.shape not in taken_along(lambda residuals: residuals)


def test_a_fit_that_was_traced_before_is_differentiated():
    """Under a `jit` of its own the derivative is asked for when the fit's trace has ended."""
    residuals, params, batch = problem()
    weight = jnp.ones(STEPS + 1)
    loss = lambda batch, params: outer(residuals, params, batch, weight, anew=False)
    found = jax.grad(jax.jit(loss), (0, 1))(batch, params)
    expected = jax.jit(jax.grad(loss, (0, 1)))(batch, params)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_what_the_image_reads_beside_the_batch_has_its_derivative():
    """Rates of the image that the residuals hold, an index and a random key among the samples."""

    class Scaled(Hinge):
        def linear_image(self, params, batch):
            features, rows, _ = batch
            return (features[rows] @ params["w"]) * self.target * jnp.arange(SAMPLES)

    residuals, params, batch = problem()
    batch = batch, jnp.flip(jnp.arange(SAMPLES)), jax.random.key(0)
    residuals = Scaled(residuals.target, residuals.strength)

    def loss(residuals, features, anew):
        return outer(residuals, params, (features, *batch[1:]), jnp.ones(STEPS + 1), anew)

    carried, anew = (
        jax.jit(jax.grad(functools.partial(loss, anew=anew), (0, 1)))(residuals, batch[0])
        for anew in (False, True)
    )
    for found, expected in zip(jax.tree.leaves(carried), jax.tree.leaves(anew), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


class Checked(struct.PyTreeNode):
    """What takes nothing but an array of so many axes, as classes with checked annotations do."""

    array: jax.Array
    axes: int = struct.field(pytree_node=False)

    def __post_init__(self):
        if not isinstance(self.array, jax.Array) or self.array.ndim != self.axes:
            raise TypeError(f"not an array of {self.axes} axes: {self.array}")


def test_samples_of_classes_that_check_what_they_hold_never_see_a_tangent():
    """One of them has none: what JAX puts in its place is no array."""

    class Line:
        def linear_image(self, params, samples):
            return samples[0].array @ params

        def __call__(self, params, samples, image=None):
            image = self.linear_image(params, samples) if image is None else image
            return image - samples[1].array

    *_, batch = problem()
    target = jnp.arange(SAMPLES, dtype=jnp.float32)

    def loss(features):
        samples = Checked(features, 2), Checked(target, 1)
        rule, objective = metaopt.SteepestDescent(), metaopt.LeastSquares(Line())
        return metaopt.fit(rule, objective, jnp.ones(SIZE), samples, steps=2).losses[-1]

    def plain(features):
        residuals = lambda params, _: features @ params - target
        rule, objective = metaopt.SteepestDescent(), metaopt.LeastSquares(residuals)
        return metaopt.fit(rule, objective, jnp.ones(SIZE), (), steps=2).losses[-1]

    np.testing.assert_allclose(jax.grad(loss)(batch), jax.grad(plain)(batch), rtol=1e-3)
