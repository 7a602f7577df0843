"""The type variables of the package, declared once, with their variance said rather than inferred."""

from __future__ import annotations

from typing_extensions import TypeVar

State = TypeVar('State')
Deps = TypeVar('Deps')
Input = TypeVar('Input')
Output = TypeVar('Output')
Item = TypeVar('Item')

BuilderState = TypeVar('BuilderState', default=None)
BuilderDeps = TypeVar('BuilderDeps', default=None)
BuilderInput = TypeVar('BuilderInput', default=None)
BuilderOutput = TypeVar('BuilderOutput', default=None)

Source = TypeVar('Source')
Handled = TypeVar('Handled')

StateIn = TypeVar('StateIn', contravariant=True)
DepsIn = TypeVar('DepsIn', contravariant=True)
InputIn = TypeVar('InputIn', contravariant=True)
HandledIn = TypeVar('HandledIn', contravariant=True)
StateOut = TypeVar('StateOut', covariant=True)
DepsOut = TypeVar('DepsOut', covariant=True)
InputOut = TypeVar('InputOut', covariant=True)
OutputOut = TypeVar('OutputOut', covariant=True)
