// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {TestUsdc} from "../../dev/TestUsdc.sol";

/// @notice Keeps one part in a hundred of every transfer.
contract FeeToken is TestUsdc {
    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from != address(0) && to != address(0)) super._update(to, address(0xfee), value / 100);
    }
}

/// @notice Reports success and moves nothing.
contract IdleToken is TestUsdc {
    function _update(address from, address to, uint256 value) internal override {
        if (from == address(0)) super._update(from, to, value);
    }
}

contract EighteenDecimals is ERC20("Other", "OTHER") {}

/// @notice Calls back before it moves money, as tokens with hooks do.
contract HookToken is TestUsdc {
    address private _target;
    bytes private _call;
    bool public called;
    bool public succeeded;
    bytes public answer;

    function arm(address target, bytes calldata call_) external {
        _target = target;
        _call = call_;
    }

    function _update(address from, address to, uint256 value) internal override {
        if (_target != address(0)) {
            address target = _target;
            _target = address(0);
            called = true;
            (succeeded, answer) = target.call(_call);
        }
        super._update(from, to, value);
    }
}

/// @notice Refuses to pay chosen recipients, as tokens with a block list do.
contract RefusingToken is TestUsdc {
    error Refused(address recipient);

    mapping(address recipient => bool) private _isRefused;

    function refuse(address recipient, bool isRefused) external {
        _isRefused[recipient] = isRefused;
    }

    function _update(address from, address to, uint256 value) internal override {
        if (_isRefused[to]) revert Refused(to);
        super._update(from, to, value);
    }
}
