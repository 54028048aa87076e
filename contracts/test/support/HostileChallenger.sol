// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A challenger that is a contract and calls back into the venue while it is paid
contract HostileChallenger {
    struct Call {
        address target;
        bytes data;
    }

    /// @dev Whoever calls learns how many of the calls back went through.
    event CalledBack(uint256 calls, uint256 doneWell);

    Call[] private _reentries;
    uint256 private _calls;
    uint256 private _doneWell;

    /// @dev The reward arrives here.
    receive() external payable {
        for (uint256 i = 0; i < _reentries.length; ++i) {
            Call storage one = _reentries[i];
            (bool isDone,) = one.target.call(one.data);
            ++_calls;
            if (isDone) ++_doneWell;
        }
    }

    /// @notice Sends the challenge on; reverts as it does.
    function challenge(address dispute, bytes calldata data, Call[] calldata reentries) external {
        for (uint256 i = 0; i < reentries.length; ++i) {
            _reentries.push(reentries[i]);
        }
        (bool isDone, bytes memory answer) = dispute.call(data);
        if (!isDone) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
        emit CalledBack(_calls, _doneWell);
    }
}
